//! A story: what somebody asked hitrate for, everything that was said on the
//! way, and what was answered.

use std::time::Duration;

use hitrate_cache::{
    time::micros,
    trace::{Step, Wire},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// One act from question to answer, as the wire recorded it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Story {
    /// What the visitor asked for.
    pub asked: String,
    /// What hitrate said to whom, in the order of sending.
    #[schema(value_type = Vec<schemas::Step>)]
    pub steps: Vec<Step>,
    /// What the visitor got.
    pub answered: String,
    /// Microseconds from question to answer, simulated time included.
    pub elapsed_us: u64,
    /// How much of it was simulated, in microseconds.
    pub simulated_us: u64,
}

impl Story {
    /// The story that `wire` has recorded.
    pub fn told(asked: String, wire: &Wire, answered: String, took: Duration) -> Self {
        let mut steps = wire.steps();
        steps.sort_by_key(|step| (step.start_us, step.trip));
        let simulated_us = simulated_us(&steps);
        Self { asked, steps, answered, elapsed_us: micros(took), simulated_us }
    }
}

/// How long somebody waited on purpose. Waits at the same time count once.
fn simulated_us(steps: &[Step]) -> u64 {
    let (mut sum, mut end) = (0, 0);
    for step in steps {
        let until = step.start_us + step.simulated_us;
        sum += until.saturating_sub(end.max(step.start_us));
        end = end.max(until);
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hitrate_cache::trace::{Target, Trip};

    use super::*;

    #[test]
    fn steps_stand_in_the_order_of_sending_and_waits_at_the_same_time_count_once() {
        let (wire, sent) = (Wire::on(), Instant::now());
        let ms = Duration::from_millis;
        for (at, took) in [(20, 100), (0, 200), (300, 50)] {
            let (sent, took) = (sent + ms(at), ms(took));
            let trip = Trip { target: Target::Database, sent, took, simulated: took };
            wire.record(trip, || vec![("SELECT".to_owned(), "1 row".to_owned())]);
        }
        let story = Story::told("read".to_owned(), &wire, "a row".to_owned(), ms(400));
        let trips: Vec<_> = story.steps.iter().map(|step| step.trip).collect();
        assert_eq!(trips, [2, 1, 3]);
        assert_eq!(story.simulated_us, 250_000);
    }
}
