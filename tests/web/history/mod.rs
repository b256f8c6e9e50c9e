//! Histories: many clients use two processes that share a Redis and a database, while
//! faults are injected; a checker then judges all recorded results.
//!
//! A seed determines all decisions of a run. Each test has its own; `HITRATE_SEED=7
//! bin/test history::` uses another one, and `bin/soak 0 7` repeats the run of a soak.
//! The timing is not determined, so it may take several runs to reproduce a failure.

mod broken;
mod checker;
mod clients;
mod found;
mod nemesis;
mod operation;
mod policy;
mod run;
mod world;

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};

use self::{
    nemesis::Planner,
    policy::CachePolicy,
    run::{Run, report},
};
use crate::seed::{from_environment, seed_or};

/// Length of a test run: enough for a handful of faults.
const BRIEF: Duration = Duration::from_millis(2_000);
/// Length of a soak run: enough for consecutive faults.
const LONG: Duration = Duration::from_secs(8);

/// The fault generators that a soak alternates between.
const PLANNERS: [Planner; 3] = [nemesis::everything, nemesis::redis_reachable, nemesis::jitter];

/// Runs with the given seed. Together, the tests below inject every fault.
fn assert_guarantee_holds(policy: CachePolicy, faults: Planner, seed: u64) {
    let run = Run { seed: seed_or(seed), policy, length: BRIEF, faults, broken: None };
    if let Err(report) = verdict(&run) {
        panic!("{report}");
    }
}

/// A summary of the run, or the violations.
fn verdict(run: &Run) -> Result<String, String> {
    let record = run.record();
    let violations = run.judge(&record);
    match violations.is_empty() {
        true => Ok(record.to_string()),
        false => Err(report(run, &record, &violations)),
    }
}

#[test]
fn none_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::NONE, nemesis::everything, 9);
}

#[test]
fn read_through_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::READ_THROUGH, nemesis::everything, 10);
}

#[test]
fn near_cache_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::NEAR_CACHE, nemesis::everything, 6);
}

#[test]
fn write_through_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::WRITE_THROUGH, nemesis::everything, 14);
}

#[test]
fn write_around_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::WRITE_AROUND, nemesis::everything, 16);
}

#[test]
fn write_behind_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::WRITE_BEHIND, nemesis::everything, 19);
}

#[test]
fn refresh_ahead_keeps_its_guarantee() {
    assert_guarantee_holds(CachePolicy::REFRESH_AHEAD, nemesis::everything, 17);
}

#[test]
fn near_cache_keeps_its_strict_guarantee_while_redis_is_reachable() {
    assert_guarantee_holds(CachePolicy::NEAR_CACHE, nemesis::redis_reachable, 23);
}

#[test]
fn write_behind_keeps_its_strict_guarantee_while_redis_is_reachable() {
    assert_guarantee_holds(CachePolicy::WRITE_BEHIND, nemesis::redis_reachable, 14);
}

/// Runs with successive seeds, which determine policy and faults.
#[test]
#[ignore = "runs as long as requested: bin/soak"]
fn soak() {
    let minutes = from_environment("HITRATE_SOAK").unwrap_or(10);
    let first = seed_or(1);
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut passed, mut failed) = (0, 0);
    for round in 0_u64.. {
        if round > 0 && Instant::now() >= end {
            break;
        }
        let seed = first.wrapping_add(round);
        // Determined by the seed, so that a single round can be repeated.
        let policy = CachePolicy::ALL[seed as usize % CachePolicy::ALL.len()];
        let faults = PLANNERS[seed as usize / CachePolicy::ALL.len() % PLANNERS.len()];
        let run = Run { seed, policy, length: LONG, faults, broken: None };
        // A run that panics has failed as well, and has printed the reason.
        match catch_unwind(|| verdict(&run)) {
            Ok(Ok(summary)) => {
                passed += 1;
                eprintln!("passed  {policy}  seed {seed}  {summary}");
            }
            other => {
                failed += 1;
                eprintln!(
                    "FAILED  {policy}  seed {seed}\n{}",
                    other.map_or(String::new(), |it| it.unwrap_err())
                );
            }
        }
    }
    eprintln!("{passed} passed, {failed} failed");
    assert_eq!(failed, 0);
}
