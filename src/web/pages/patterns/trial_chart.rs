//! A trial as bars: for each variant the correct, missing and excess counts.

use crate::labs::patterns::{TrialReport, VariantReport};

/// The counts of a variant as a bar.
pub struct TrialBar<'a> {
    /// The variant.
    pub variant: &'a VariantReport,
    /// Count at the right end of the scale.
    max: u64,
}

impl<'a> TrialBar<'a> {
    /// A bar for each variant, on one scale.
    pub fn all(report: &'a TrialReport) -> Vec<Self> {
        let variants = &report.variants;
        let max = variants.iter().map(|variant| variant.expected.max(variant.got)).max();
        let max = max.unwrap_or_default().max(1);
        variants.iter().map(|variant| Self { variant, max }).collect()
    }

    fn scaled(&self, count: u64) -> f64 {
        (count as f64 * 10_000.0 / self.max as f64).round() / 100.0
    }

    /// Width of the correct part, in percent.
    pub fn correct(&self) -> f64 {
        self.scaled(self.variant.got.min(self.variant.expected))
    }

    /// Width of the missing part, in percent.
    pub fn missing(&self) -> f64 {
        self.scaled(self.variant.lost)
    }

    /// Width of the excess part, in percent.
    pub fn excess(&self) -> f64 {
        self.scaled(self.variant.over)
    }
}
