//! The wire as bars: when each command was sent and how long its reply took.

use crate::wire::Step;

/// No bar is narrower, in per cent: one that can't be seen would look like none.
const NARROWEST: f64 = 0.5;

/// The steps of one request, with their bars.
pub struct Waterfall<'a> {
    /// In the order they were sent.
    pub rows: Vec<Bar<'a>>,
    /// The whole width, in microseconds.
    pub total_us: u64,
}

/// One step and where its bar lies, in per cent of the whole width.
pub struct Bar<'a> {
    /// What was said.
    pub step: &'a Step,
    /// Left end.
    pub x: f64,
    /// Width of the simulated part, on the left.
    pub simulated: f64,
    /// Width of the measured part, right of it.
    pub measured: f64,
    /// Whether it went out together with the row above.
    pub same_trip: bool,
}

impl Bar<'_> {
    /// Left end of the measured part.
    pub fn measured_x(&self) -> f64 {
        self.x + self.simulated
    }
}

impl<'a> Waterfall<'a> {
    /// Draws these steps to scale: the last reply is the right end.
    pub fn of(steps: &'a [Step]) -> Self {
        let total_us = steps.iter().map(|step| step.start_us + step.elapsed_us).max();
        let total_us = total_us.unwrap_or_default().max(1);
        let mut last_trip = 0;
        let rows = steps.iter().map(|step| {
            let same_trip = step.trip == last_trip;
            last_trip = step.trip;
            bar(step, total_us, same_trip)
        });
        Self { rows: rows.collect(), total_us }
    }

    /// How much of the whole was simulated, in microseconds.
    pub fn simulated_us(&self) -> u64 {
        simulated_us(self.rows.iter().map(|row| row.step))
    }
}

/// How much of these steps was simulated, in microseconds.
pub fn simulated_us<'a>(steps: impl IntoIterator<Item = &'a Step>) -> u64 {
    steps.into_iter().map(|step| step.simulated_us).sum()
}

fn bar(step: &Step, total_us: u64, same_trip: bool) -> Bar<'_> {
    let scaled = |us: u64| (us as f64 * 10_000.0 / total_us as f64).round() / 100.0;
    let simulated = scaled(step.simulated_us);
    let measured = scaled(step.elapsed_us.saturating_sub(step.simulated_us)).max(NARROWEST);
    let x = scaled(step.start_us).min(100.0 - measured - simulated).max(0.0);
    Bar { step, x, simulated, measured, same_trip }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Target;

    fn step(start_us: u64, elapsed_us: u64, simulated_us: u64, trip: usize) -> Step {
        let (command, reply) = (String::new(), String::new());
        Step { target: Target::Redis, command, reply, start_us, elapsed_us, simulated_us, trip }
    }

    #[test]
    fn bars_are_to_scale_and_inside() {
        let steps =
            [step(0, 100, 0, 1), step(0, 100, 0, 1), step(200, 800, 600, 2), step(1000, 0, 0, 3)];
        let drawn = Waterfall::of(&steps);
        let bars: Vec<_> = drawn.rows.iter().map(|b| (b.x, b.simulated, b.measured)).collect();
        assert_eq!(
            bars,
            [(0.0, 0.0, 10.0), (0.0, 0.0, 10.0), (20.0, 60.0, 20.0), (99.5, 0.0, 0.5)]
        );
        assert_eq!(drawn.rows.iter().filter(|bar| bar.same_trip).count(), 1);
        assert_eq!(drawn.simulated_us(), 600);
    }
}
