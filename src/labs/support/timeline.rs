//! A timeline: a request, the round trips it caused, and the response.

use std::time::Duration;

use hitrate_cache::{
    time::micros,
    trace::{Span, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// One operation from request to response, as recorded by a trace.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Timeline {
    /// The visitor's request.
    pub request: String,
    /// The round trips, in the order of sending.
    #[schema(value_type = Vec<schemas::Span>)]
    pub trace: Vec<Span>,
    /// The response.
    pub response: String,
    /// Microseconds from request to response, including simulated latency.
    pub elapsed_us: u64,
    /// The simulated part of it, in microseconds.
    pub simulated_us: u64,
}

impl Timeline {
    /// The timeline of the spans that `trace` has recorded.
    pub fn new(request: String, trace: &Trace, response: String, took: Duration) -> Self {
        let mut trace = trace.spans();
        trace.sort_by_key(|span| (span.start_us, span.round_trip));
        let simulated_us = simulated_us(&trace);
        Self { request, trace, response, elapsed_us: micros(took), simulated_us }
    }
}

/// Total simulated latency, in microseconds. Overlapping waits count once.
fn simulated_us(trace: &[Span]) -> u64 {
    let (mut sum, mut end) = (0, 0);
    for span in trace {
        let until = span.start_us + span.simulated_us;
        sum += until.saturating_sub(end.max(span.start_us));
        end = end.max(until);
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hitrate_cache::trace::{RoundTrip, Target};

    use super::*;

    #[test]
    fn spans_are_sorted_and_overlapping_waits_count_once() {
        let (trace, sent) = (Trace::start(), Instant::now());
        let ms = Duration::from_millis;
        for (at, took) in [(20, 100), (0, 200), (300, 50)] {
            let (sent, took) = (sent + ms(at), ms(took));
            let trip = RoundTrip { target: Target::Database, sent, took, simulated: took };
            trace.record(trip, || vec![("SELECT".to_owned(), "1 row".to_owned())]);
        }
        let timeline = Timeline::new("read".to_owned(), &trace, "a row".to_owned(), ms(400));
        let trips: Vec<_> = timeline.trace.iter().map(|span| span.round_trip).collect();
        assert_eq!(trips, [2, 1, 3]);
        assert_eq!(timeline.simulated_us, 250_000);
    }
}
