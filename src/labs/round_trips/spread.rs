//! Summary statistics of repeated measurements: median and range.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::format;

/// Median, minimum and maximum, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Spread {
    /// Number of measurements.
    pub n: u64,
    /// Median, in nanoseconds.
    pub median_ns: u64,
    /// Minimum, in nanoseconds.
    pub min_ns: u64,
    /// Maximum, in nanoseconds.
    pub max_ns: u64,
}

impl Spread {
    /// The statistics of these values, in any order.
    pub fn of(values: &[u64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        Self {
            n: sorted.len() as u64,
            median_ns: middle(&sorted).unwrap_or_default(),
            min_ns: sorted.first().copied().unwrap_or_default(),
            max_ns: sorted.last().copied().unwrap_or_default(),
        }
    }

    /// The median with its unit: `312 µs`.
    pub fn median(&self) -> String {
        time(self.median_ns)
    }

    /// The minimum with its unit.
    pub fn min(&self) -> String {
        time(self.min_ns)
    }

    /// The maximum with its unit.
    pub fn max(&self) -> String {
        time(self.max_ns)
    }

    /// The range: `298 µs to 355 µs`.
    pub fn range(&self) -> String {
        format!("{} to {}", self.min(), self.max())
    }
}

/// The median; for an even number of values, the mean of the middle two.
fn middle(sorted: &[u64]) -> Option<u64> {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        1 => Some(sorted[half]),
        _ => Some(sorted[half - 1].midpoint(sorted[half])),
    }
}

/// Median, minimum and maximum of several ratios.
pub fn of_ratios(ratios: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let half = sorted.len() / 2;
    let middle = match sorted.len() % 2 {
        1 => sorted[half],
        _ => sorted[half - 1].midpoint(sorted[half]),
    };
    Some((middle, min, max))
}

/// A duration in whole nanoseconds.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Formats nanoseconds: `850 ns`, `4.21 µs`, `312 µs`, `1.25 ms`.
fn time(ns: u64) -> String {
    match ns {
        ns @ ..1_000 => format!("{ns} ns"),
        ns @ ..10_000 => format!("{:.2} µs", ns as f64 / 1e3),
        ns @ ..100_000 => format!("{:.1} µs", ns as f64 / 1e3),
        ns => format::time(&((ns + 500) / 1_000)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        let spread = Spread::of(&[5, 1, 9]);
        assert_eq!((spread.median_ns, spread.min_ns, spread.max_ns, spread.n), (5, 1, 9, 3));
        assert_eq!(Spread::of(&[1, 4, 2, 3]).median_ns, 2, "between 2 and 3, rounded down");
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_eq!(of_ratios(&[2.0, 8.0, 4.0]), Some((4.0, 2.0, 8.0)));
        assert_eq!(of_ratios(&[]), None);
    }

    #[test]
    fn short_times_keep_their_digits() {
        assert_eq!(time(850), "850 ns");
        assert_eq!(time(4_210), "4.21 µs");
        assert_eq!(time(42_100), "42.1 µs");
        assert_eq!(time(312_400), "312 µs");
        assert_eq!(time(1_250_000), "1.25 ms");
    }
}
