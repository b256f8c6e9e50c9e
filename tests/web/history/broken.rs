//! Deliberate bugs, one per property. The checker finds each, and hitrate without the
//! bug passes with the same seeds.

use std::time::Duration;

use super::{
    checker::Breach::{self, DuplicateNumber, LostWrite, StaleRead},
    nemesis,
    policy::CachePolicy,
    run::{Run, report},
};

/// Length of a run: enough for operations to overlap.
const SHORT: Duration = Duration::from_millis(900);
/// Maximum number of runs until the bug shows.
const MAX_RUNS: u64 = 16;

/// Runs both with successive seeds until the bug shows.
fn assert_finds(breach: Breach, broken: Run, correct: Run) {
    for seed in 1..=MAX_RUNS {
        // Each run is longer than the last, as little happens on a busy machine.
        let length = SHORT.mul_f64(0.5 + 0.5 * seed as f64);
        let correct = Run { seed, length, ..correct };
        let record = correct.record();
        let violations = correct.judge(&record);
        assert!(violations.is_empty(), "correct: {}", report(&correct, &record, &violations));
        let broken = Run { seed, length, ..broken };
        let violations = broken.judge(&broken.record());
        if violations.iter().any(|violation| violation.breach == breach) {
            return;
        }
    }
    panic!("no {breach:?} in {MAX_RUNS} runs");
}

#[test]
fn the_checker_finds_a_slow_reader_that_stores_an_outdated_row() {
    let correct = Run {
        seed: 0,
        policy: CachePolicy::READ_THROUGH,
        length: SHORT,
        faults: nemesis::jitter,
        broken: None,
    };
    assert_finds(StaleRead, Run { policy: CachePolicy::CACHE_ASIDE, ..correct }, correct);
}

#[test]
fn the_checker_finds_a_write_acknowledged_before_redis_has_it() {
    let correct = Run {
        seed: 0,
        policy: CachePolicy::WRITE_BEHIND,
        length: SHORT,
        faults: nemesis::kill_all_at_end,
        broken: None,
    };
    assert_finds(LostWrite, Run { broken: Some("ack-before-redis"), ..correct }, correct);
}

#[test]
fn the_checker_finds_a_write_dequeued_before_the_database_has_it() {
    let correct = Run {
        seed: 0,
        policy: CachePolicy::WRITE_BEHIND,
        length: SHORT,
        faults: nemesis::lock_at_end,
        broken: None,
    };
    assert_finds(LostWrite, Run { broken: Some("flush-forgets"), ..correct }, correct);
}

#[test]
fn the_checker_finds_a_counter_that_is_not_atomic() {
    let correct = Run {
        seed: 0,
        policy: CachePolicy::READ_THROUGH,
        length: SHORT,
        faults: nemesis::jitter,
        broken: None,
    };
    assert_finds(DuplicateNumber, Run { broken: Some("count-by-get-set"), ..correct }, correct);
}
