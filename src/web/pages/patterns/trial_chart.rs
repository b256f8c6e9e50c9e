//! A trial as bars: for each variant the correct, missing and excess counts.

use crate::{
    labs::patterns::{TrialReport, VariantReport},
    web::percent::Percent,
};

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
        let max = max.unwrap_or_default();
        variants.iter().map(|variant| Self { variant, max }).collect()
    }

    fn scaled(&self, count: u64) -> Percent {
        Percent::of(count, self.max)
    }

    /// Width of the correct part.
    pub fn correct(&self) -> Percent {
        self.scaled(self.variant.got.min(self.variant.expected))
    }

    /// Width of the missing part.
    pub fn missing(&self) -> Percent {
        self.scaled(self.variant.lost)
    }

    /// Width of the excess part.
    pub fn excess(&self) -> Percent {
        self.scaled(self.variant.over)
    }
}
