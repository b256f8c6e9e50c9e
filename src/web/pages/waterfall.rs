//! A trace as bars: when each command was sent and how long its reply took.

use std::fmt;

use askama::{FastWritable, Values, filters::HtmlSafe};
use hitrate_cache::trace::Span;

/// Minimum width of a bar, so that it is visible.
const WIDTH_MIN: Percent = Percent(50);

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

/// A percentage, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u64);

impl Percent {
    const NONE: Self = Self(0);

    /// `part` of `total`, rounded.
    fn of(part: u64, total: u64) -> Self {
        Self((part.saturating_mul(10_000) + total / 2) / total)
    }

    /// Whether it is above zero.
    pub fn is_some(self) -> bool {
        self > Self::NONE
    }
}

/// `12.05%`, as in SVG attributes.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FastWritable for Percent {
    fn write_into(&self, page: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(page)?)
    }
}

impl Percent {
    fn write(self, page: &mut dyn fmt::Write) -> fmt::Result {
        let mut text = [b'0', b'0', b'0', b'.', b'0', b'0', b'%'];
        let mut rest = self.0.min(99_999);
        for place in [5, 4, 2, 1, 0] {
            text[place] += (rest % 10) as u8;
            rest /= 10;
        }
        let zeros = text[..2].iter().take_while(|digit| **digit == b'0').count();
        page.write_str(str::from_utf8(&text[zeros..]).expect("these are digits"))
    }
}

impl HtmlSafe for Percent {}

impl WaterfallBar<'_> {
    /// Left end of the measured part.
    pub fn measured_x(&self) -> Percent {
        Percent(self.x.0 + self.simulated.0)
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
    let x =
        Percent(scaled(span.start_us).0.min(10_000_u64.saturating_sub(measured.0 + simulated.0)));
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
        let bars: Vec<_> =
            drawn.rows.iter().map(|b| (b.x.0, b.simulated.0, b.measured.0)).collect();
        assert_eq!(bars, [(0, 0, 1000), (0, 0, 1000), (2000, 6000, 2000), (9950, 0, 50)]);
        let texts = [50, 1205, 10_000].map(|it| Percent(it).to_string());
        assert_eq!(texts, ["0.50%", "12.05%", "100.00%"]);
        assert_eq!(drawn.rows.iter().filter(|bar| bar.same_round_trip).count(), 1);
        assert_eq!(drawn.simulated_us(), 600);
    }
}
