//! What the documents claim about a cache under load, held against a run.

use serde::Serialize;
use utoipa::ToSchema;

use super::{crowd::FollowUp, run::PolicyRun};
use crate::format;

/// A claim, and how it fared with each policy.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Claim {
    /// The documents' words.
    pub says: &'static str,
    /// Where it was tested, in the order of the runs.
    pub findings: Vec<Finding>,
}

/// A claim held against one run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Finding {
    /// The policy.
    pub policy: &'static str,
    /// Whether it is so.
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
}

/// Whether a claim is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    True,
    /// It is not, and the truth is better.
    Better,
    /// It is not.
    False,
    /// Nobody was answered, so nobody knows.
    Unknown,
}

impl Verdict {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Better => "better",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl Claim {
    /// Both claims, held against these runs.
    pub fn held_against(runs: &[PolicyRun]) -> Vec<Self> {
        let of = |says, finding: fn(&PolicyRun) -> Finding| Self {
            says,
            findings: runs.iter().map(finding).collect(),
        };
        if runs.is_empty() {
            return Vec::new();
        }
        vec![
            of("DATABASE HIT appears only once per product", hits_once),
            of("The next 99 requests take 1 to 5 ms", next_are_quick),
        ]
    }
}

fn hits_once(run: &PolicyRun) -> Finding {
    let (verdict, measured) = match run.origin_loads {
        _ if run.answered() == 0 => (Verdict::Unknown, "nobody was answered".to_owned()),
        0 => (Verdict::True, "not even once".to_owned()),
        1 => (Verdict::True, "once".to_owned()),
        many => (Verdict::False, format!("{} times", format::number(&many))),
    };
    Finding { policy: run.policy, verdict, measured }
}

fn next_are_quick(run: &PolicyRun) -> Finding {
    let (verdict, measured) = match &run.next {
        FollowUp { left_out: true, .. } => {
            (Verdict::Unknown, "not asked, Redis was away".to_owned())
        }
        FollowUp { requests: 0, .. } => (Verdict::Unknown, "none was answered".to_owned()),
        FollowUp { above_5ms: late @ 1.., requests, .. } => {
            (Verdict::False, format!("{late} of {requests} took longer"))
        }
        FollowUp { below_1ms: early @ 1.., requests, .. } => {
            (Verdict::Better, format!("{early} of {requests} took less than 1 ms"))
        }
        FollowUp { requests, .. } => (Verdict::True, format!("all {requests} did")),
    };
    Finding { policy: run.policy, verdict, measured }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(below_1ms: u64, from_1_to_5ms: u64, above_5ms: u64) -> Finding {
        let requests = below_1ms + from_1_to_5ms + above_5ms;
        let next =
            FollowUp { requests, below_1ms, from_1_to_5ms, above_5ms, ..FollowUp::default() };
        next_are_quick(&PolicyRun { next, ..PolicyRun::blank() })
    }

    #[test]
    fn the_first_claim_is_about_loads_alone() {
        let of = |origin_loads| {
            let finding =
                hits_once(&PolicyRun { origin_loads, from_database: 100, ..PolicyRun::blank() });
            (finding.verdict, finding.measured)
        };
        assert_eq!(of(1), (Verdict::True, "once".to_owned()));
        assert_eq!(of(1_000), (Verdict::False, "1,000 times".to_owned()));
        assert_eq!(hits_once(&PolicyRun::blank()).verdict, Verdict::Unknown);
    }

    #[test]
    fn the_second_claim_is_true_only_of_times_within_it() {
        assert_eq!(next(0, 99, 0).verdict, Verdict::True);
        assert_eq!(next(1, 98, 0).verdict, Verdict::Better);
        assert_eq!(next(98, 0, 1).verdict, Verdict::False);
        assert_eq!(next(0, 0, 0).verdict, Verdict::Unknown);
        assert_eq!(next(97, 2, 0).measured, "97 of 99 took less than 1 ms");
    }
}
