//! Claims about performance, each checked against a measurement.

use serde::Serialize;
use utoipa::ToSchema;

/// A claim, and the measurement that confirms or refutes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Claim {
    /// The measured subject: a policy, a command or a client.
    pub subject: &'static str,
    /// The claim as the tutorial states it.
    pub says: &'static str,
    /// The measurement, or the reason why there is none.
    pub measured: String,
    /// Number of measurements; 0 if there is none.
    pub n: u64,
    /// The range of the measurements.
    pub spread: Option<String>,
    /// Whether the claim holds.
    pub verdict: Verdict,
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The claim holds.
    True,
    /// The measurement is better than the claim.
    Better,
    /// The claim does not hold.
    False,
    /// Nothing was measured.
    Unknown,
}

impl Verdict {
    /// The verdict on a claim that either holds or does not.
    pub fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    /// The name in JSON and as a CSS class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Better => "better",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }

    /// The label on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::True => "holds here",
            Self::Better => "better here",
            Self::False => "not here",
            Self::Unknown => "not measured",
        }
    }
}
