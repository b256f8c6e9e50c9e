//! Histories: many clients of two processes that share a Redis and a database,
//! with things breaking meanwhile, and then a judgement of what they were told.
//!
//! A seed decides the same every time: a test has its own, `HITRATE_SEED=7 bin/test
//! history::` tries another one, `bin/soak 0 7` repeats what a soak did by it. The
//! times are the machine's: it may take a few tries to see the same.

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

/// Long enough for a handful of faults.
const BRIEF: Duration = Duration::from_millis(2_000);
/// Long enough for faults that follow from each other.
const LONG: Duration = Duration::from_secs(8);

/// What a soak goes through by turns.
const WEATHERS: [Planner; 3] = [nemesis::everything, nemesis::all_but_redis, nemesis::jitter];

/// By a seed of its own: between them, the tests below have every fault there is.
fn assert_keeps_its_promise(policy: CachePolicy, faults: Planner, seed: u64) {
    let run = Run { seed: seed_or(seed), policy, length: BRIEF, faults, broken: None };
    if let Err(told) = verdict(&run) {
        panic!("{told}");
    }
}

/// What a run did, or what was wrong.
fn verdict(run: &Run) -> Result<String, String> {
    let record = run.record();
    let violations = run.judge(&record);
    match violations.is_empty() {
        true => Ok(record.to_string()),
        false => Err(report(run, &record, &violations)),
    }
}

#[test]
fn none_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::NONE, nemesis::everything, 9);
}

#[test]
fn default_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::DEFAULT, nemesis::everything, 10);
}

#[test]
fn near_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::NEAR, nemesis::everything, 6);
}

#[test]
fn write_through_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::WRITE_THROUGH, nemesis::everything, 14);
}

#[test]
fn write_around_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::WRITE_AROUND, nemesis::everything, 16);
}

#[test]
fn write_behind_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::WRITE_BEHIND, nemesis::everything, 19);
}

#[test]
fn refresh_ahead_keeps_its_promise() {
    assert_keeps_its_promise(CachePolicy::REFRESH_AHEAD, nemesis::everything, 17);
}

#[test]
fn near_keeps_its_stricter_promise_while_redis_is_there() {
    assert_keeps_its_promise(CachePolicy::NEAR, nemesis::all_but_redis, 23);
}

#[test]
fn write_behind_keeps_its_stricter_promise_while_redis_is_there() {
    assert_keeps_its_promise(CachePolicy::WRITE_BEHIND, nemesis::all_but_redis, 14);
}

/// Round after round, each of the next seed and policy.
#[test]
#[ignore = "takes as long as it is told: bin/soak"]
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
        // By the seed, so that one round can be repeated alone.
        let policy = CachePolicy::ALL[seed as usize % CachePolicy::ALL.len()];
        let faults = WEATHERS[seed as usize / CachePolicy::ALL.len() % WEATHERS.len()];
        let run = Run { seed, policy, length: LONG, faults, broken: None };
        // A run that panics has failed, too, and has said why.
        match catch_unwind(|| verdict(&run)) {
            Ok(Ok(told)) => {
                passed += 1;
                eprintln!("passed  {policy}  seed {seed}  {told}");
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
