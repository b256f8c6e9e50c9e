//! Statements about performance, each held against a measurement.

use serde::Serialize;
use utoipa::ToSchema;

/// A statement, and the measurement that supports or refutes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Claim {
    /// What was measured: a policy, a command, a client.
    pub subject: &'static str,
    /// The documents' words.
    pub says: &'static str,
    /// The measurement, or why there is none.
    pub measured: String,
    /// How many measurements; 0 when there is none.
    pub n: u64,
    /// How far they lie apart.
    pub spread: Option<String>,
    /// Whether the claim holds here.
    pub verdict: Verdict,
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not hold, and the truth is better.
    Better,
    /// It does not hold.
    False,
    /// Nothing was measured.
    Unknown,
}

impl Verdict {
    /// The verdict on a claim that either holds or does not.
    pub fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    /// The word for it, in JSON and as a class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Better => "better",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }

    /// The words for it on a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::True => "holds here",
            Self::Better => "better here",
            Self::False => "not here",
            Self::Unknown => "not measured",
        }
    }
}
