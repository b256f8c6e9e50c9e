//! Percentages of a chart, as in SVG attributes.

use std::{fmt, ops::Add};

use askama::filters::HtmlSafe;

/// A percentage, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u64);

impl Percent {
    const ALL: Self = Self(10_000);

    /// A constant.
    pub const fn hundredths(hundredths: u64) -> Self {
        Self(hundredths)
    }

    /// `part` of `total`, rounded.
    pub fn of(part: u64, total: u64) -> Self {
        let total = total.max(1);
        Self((part.saturating_mul(Self::ALL.0) + total / 2) / total)
    }

    /// A share from 0 to 1, rounded.
    pub fn of_share(share: f64) -> Self {
        Self((share * Self::ALL.0 as f64).round() as u64)
    }

    /// At least `min`, so that it is visible, unless it is zero.
    pub fn visible(self, min: Self) -> Self {
        if self.is_some() { self.max(min) } else { self }
    }

    /// What is left to 100 percent.
    pub fn rest(self) -> Self {
        Self(Self::ALL.0.saturating_sub(self.0))
    }

    /// Whether it is above zero.
    pub fn is_some(self) -> bool {
        self.0 > 0
    }
}

impl Add for Percent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// `12.05%`
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

impl HtmlSafe for Percent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_two_decimals() {
        let texts = [50, 1205, 10_000].map(|it| Percent::hundredths(it).to_string());
        assert_eq!(texts, ["0.50%", "12.05%", "100.00%"]);
        assert_eq!((Percent::of(1, 3), Percent::of_share(0.5)), (Percent(3_333), Percent(5_000)));
        assert_eq!((Percent::of(0, 0), Percent(3_333).rest()), (Percent(0), Percent(6_667)));
    }

    #[test]
    fn only_what_is_above_zero_is_widened() {
        let min = Percent(50);
        assert_eq!([0, 1, 80].map(|it| Percent(it).visible(min).0), [0, 50, 80]);
    }
}
