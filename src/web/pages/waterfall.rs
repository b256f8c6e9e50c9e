//! A trace as bars: when each command was sent and how long its reply took.

use hitrate_cache::trace::Span;

use crate::web::percent::Percent;

/// Minimum width of a bar, so that it is visible.
const WIDTH_MIN: Percent = Percent::hundredths(50);

/// The spans of a trace, with their bars.
pub struct Waterfall<'a> {
    /// In the order they were sent.
    pub rows: Vec<WaterfallBar<'a>>,
    /// Duration of the trace, in microseconds.
    pub total_us: u64,
}

/// A span and its bar, in percent of the width.
pub struct WaterfallBar<'a> {
    /// The span.
    pub span: &'a Span,
    /// Left end.
    pub x: Percent,
    /// Width of the simulated part, on the left.
    pub simulated: Percent,
    /// Width of the measured part, right of it.
    pub measured: Percent,
    /// Whether it was sent in the same round trip as the previous row.
    pub same_round_trip: bool,
}

impl WaterfallBar<'_> {
    /// Left end of the measured part.
    pub fn measured_x(&self) -> Percent {
        self.x + self.simulated
    }
}

impl<'a> Waterfall<'a> {
    /// Draws spans to scale: the last reply is the right end.
    pub fn of(spans: &'a [Span]) -> Self {
        let total_us = spans.iter().map(|span| span.start_us + span.elapsed_us).max();
        let total_us = total_us.unwrap_or_default().max(1);
        let mut last_trip = 0;
        let rows = spans.iter().map(|span| {
            let same_round_trip = span.round_trip == last_trip;
            last_trip = span.round_trip;
            bar(span, total_us, same_round_trip)
        });
        Self { rows: rows.collect(), total_us }
    }

    /// Simulated part of the trace, in microseconds.
    pub fn simulated_us(&self) -> u64 {
        simulated_us(self.rows.iter().map(|row| row.span))
    }
}

/// Simulated part of these spans, in microseconds.
pub fn simulated_us<'a>(spans: impl IntoIterator<Item = &'a Span>) -> u64 {
    spans.into_iter().map(|span| span.simulated_us).sum()
}

fn bar(span: &Span, total_us: u64, same_round_trip: bool) -> WaterfallBar<'_> {
    let scaled = |us: u64| Percent::of(us, total_us);
    let simulated = scaled(span.simulated_us);
    let measured = scaled(span.elapsed_us.saturating_sub(span.simulated_us)).max(WIDTH_MIN);
    let x = scaled(span.start_us).min((measured + simulated).rest());
    WaterfallBar { span, x, simulated, measured, same_round_trip }
}

#[cfg(test)]
mod tests {
    use hitrate_cache::trace::Target;

    use super::*;

    fn step(start_us: u64, elapsed_us: u64, simulated_us: u64, round_trip: usize) -> Span {
        let (command, reply) = (String::new(), String::new());
        Span {
            target: Target::Redis,
            command,
            reply,
            start_us,
            elapsed_us,
            simulated_us,
            round_trip,
        }
    }

    #[test]
    fn bars_are_to_scale_and_inside() {
        let steps =
            [step(0, 100, 0, 1), step(0, 100, 0, 1), step(200, 800, 600, 2), step(1000, 0, 0, 3)];
        let drawn = Waterfall::of(&steps);
        let percent = Percent::hundredths;
        let bars: Vec<_> = drawn.rows.iter().map(|b| (b.x, b.simulated, b.measured)).collect();
        assert_eq!(
            bars,
            [(0, 0, 1000), (0, 0, 1000), (2000, 6000, 2000), (9950, 0, 50)].map(
                |(x, simulated, measured)| (percent(x), percent(simulated), percent(measured))
            )
        );
        assert_eq!(drawn.rows.iter().filter(|bar| bar.same_round_trip).count(), 1);
        assert_eq!(drawn.simulated_us(), 600);
    }
}
