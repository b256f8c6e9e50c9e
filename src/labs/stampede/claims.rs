//! The tutorial's claims about a cache under load, checked against a run.

use super::{burst::FollowUp, run::PolicyRun};
use crate::{
    format,
    labs::support::claims::{Claim, Verdict},
};

/// Checks a claim against a run.
type Test = fn(&PolicyRun) -> (Verdict, String);

const CLAIMS: [(&str, Test); 2] = [
    ("DATABASE HIT appears only once per product", hits_once),
    ("The next 99 requests take 1 to 5 ms", next_are_quick),
];

/// Both claims, each checked against all of these runs.
pub fn check_claims(runs: &[PolicyRun]) -> Vec<Claim> {
    let of = |says: &'static str, test: Test| {
        runs.iter().map(move |run| {
            let (verdict, measured) = test(run);
            let n = u64::from(verdict != Verdict::Unknown);
            Claim { subject: run.policy, says, measured, n, spread: None, verdict }
        })
    };
    CLAIMS.into_iter().flat_map(|(says, test)| of(says, test)).collect()
}

fn hits_once(run: &PolicyRun) -> (Verdict, String) {
    match run.origin_loads {
        _ if run.answered() == 0 => (Verdict::Unknown, "no request was answered".to_owned()),
        0 => (Verdict::True, "never".to_owned()),
        1 => (Verdict::True, "once".to_owned()),
        many => (Verdict::False, format!("{} times", format::number(&many))),
    }
}

fn next_are_quick(run: &PolicyRun) -> (Verdict, String) {
    match &run.follow_up {
        FollowUp { skipped: true, .. } => {
            (Verdict::Unknown, "skipped, Redis was unavailable".to_owned())
        }
        FollowUp { requests: 0, .. } => (Verdict::Unknown, "no request was answered".to_owned()),
        FollowUp { above_5ms: late @ 1.., requests, .. } => {
            (Verdict::False, format!("{late} of {requests} took longer"))
        }
        FollowUp { below_1ms: early @ 1.., requests, .. } => {
            (Verdict::Better, format!("{early} of {requests} took less than 1 ms"))
        }
        FollowUp { requests, .. } => (Verdict::True, format!("all {requests} did")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(below_1ms: u64, from_1_to_5ms: u64, above_5ms: u64) -> (Verdict, String) {
        let requests = below_1ms + from_1_to_5ms + above_5ms;
        let next =
            FollowUp { requests, below_1ms, from_1_to_5ms, above_5ms, ..FollowUp::default() };
        next_are_quick(&PolicyRun { follow_up: next, ..PolicyRun::blank() })
    }

    #[test]
    fn the_first_claim_is_about_loads_alone() {
        let of = |origin_loads| {
            hits_once(&PolicyRun { origin_loads, from_database: 100, ..PolicyRun::blank() })
        };
        assert_eq!(of(1), (Verdict::True, "once".to_owned()));
        assert_eq!(of(1_000), (Verdict::False, "1,000 times".to_owned()));
        assert_eq!(hits_once(&PolicyRun::blank()).0, Verdict::Unknown);
    }

    #[test]
    fn the_second_claim_is_true_only_of_times_within_it() {
        assert_eq!(next(0, 99, 0).0, Verdict::True);
        assert_eq!(next(1, 98, 0).0, Verdict::Better);
        assert_eq!(next(98, 0, 1).0, Verdict::False);
        assert_eq!(next(0, 0, 0).0, Verdict::Unknown);
        assert_eq!(next(97, 2, 0).1, "97 of 99 took less than 1 ms");
    }
}
