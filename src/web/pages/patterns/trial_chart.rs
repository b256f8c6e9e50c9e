//! A trial as bars: for each way what is right, then what is missing or too much.

use crate::labs::patterns::{TrialReport, VariantReport};

/// A way's counts as a bar.
pub struct Lane<'a> {
    /// The way.
    pub variant: &'a VariantReport,
    max: u64,
}

impl<'a> Lane<'a> {
    /// Each way that ran, drawn to one scale.
    pub fn all(ran: &'a TrialReport) -> Vec<Self> {
        let max = ran
            .variants
            .iter()
            .map(|variant| variant.expected.max(variant.got))
            .max()
            .unwrap_or_default();
        ran.variants.iter().map(|variant| Self { variant, max: max.max(1) }).collect()
    }

    fn scaled(&self, count: u64) -> f64 {
        (count as f64 * 10_000.0 / self.max as f64).round() / 100.0
    }

    /// Per cent that are as they should be.
    pub fn good(&self) -> f64 {
        self.scaled(self.variant.got.min(self.variant.expected))
    }

    /// Per cent that are missing.
    pub fn lost(&self) -> f64 {
        self.scaled(self.variant.lost)
    }

    /// Per cent that are too many.
    pub fn over(&self) -> f64 {
        self.scaled(self.variant.over)
    }
}
