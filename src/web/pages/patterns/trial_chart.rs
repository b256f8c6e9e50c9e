//! A trial as bars: for each way what is right, then what is missing or too much.

use crate::labs::patterns::{Ran, WayRan};

/// A way's counts as a bar.
pub struct Lane<'a> {
    /// The way.
    pub way: &'a WayRan,
    most: u64,
}

impl<'a> Lane<'a> {
    /// Each way that ran, drawn to one scale.
    pub fn all(ran: &'a Ran) -> Vec<Self> {
        let most = ran.ways.iter().map(|way| way.expected.max(way.got)).max().unwrap_or_default();
        ran.ways.iter().map(|way| Self { way, most: most.max(1) }).collect()
    }

    fn scaled(&self, count: u64) -> f64 {
        (count as f64 * 10_000.0 / self.most as f64).round() / 100.0
    }

    /// Per cent that are as they should be.
    pub fn good(&self) -> f64 {
        self.scaled(self.way.got.min(self.way.expected))
    }

    /// Per cent that are missing.
    pub fn lost(&self) -> f64 {
        self.scaled(self.way.lost)
    }

    /// Per cent that are too many.
    pub fn over(&self) -> f64 {
        self.scaled(self.way.over)
    }
}
