//! Bugs made on purpose, one for each property: each is found, and what is not
//! broken passes the same seeds.

use std::time::Duration;

use super::{
    checker::Breach::{self, CountedTogether, LostWrite, StaleRead},
    nemesis,
    policy::CachePolicy,
    run::{Run, report},
};

/// Long enough for clients to meet.
const SHORT: Duration = Duration::from_millis(900);
/// How many runs may go by without the bug showing itself.
const TRIES: u64 = 16;

/// Runs both with one seed after the other until the bug has shown itself.
fn assert_finds(breach: Breach, broken: Run, honest: Run) {
    for seed in 1..=TRIES {
        // On a busy machine little happens in a short time: each try is longer.
        let length = SHORT.mul_f64(0.5 + 0.5 * seed as f64);
        let honest = Run { seed, length, ..honest };
        let record = honest.record();
        let violations = honest.judge(&record);
        assert!(violations.is_empty(), "honest: {}", report(&honest, &record, &violations));
        let broken = Run { seed, length, ..broken };
        let violations = broken.judge(&broken.record());
        if violations.iter().any(|violation| violation.breach == breach) {
            return;
        }
    }
    panic!("no {breach:?} in {TRIES} runs");
}

#[test]
fn the_checker_finds_a_slow_reader_who_brings_back_what_was_edited() {
    let honest = Run {
        seed: 0,
        policy: CachePolicy::DEFAULT,
        length: SHORT,
        faults: nemesis::jitter,
        broken: None,
    };
    assert_finds(StaleRead, Run { policy: CachePolicy::PLAIN, ..honest }, honest);
}

#[test]
fn the_checker_finds_a_write_that_was_acknowledged_before_redis_had_it() {
    let honest = Run {
        seed: 0,
        policy: CachePolicy::WRITE_BEHIND,
        length: SHORT,
        faults: nemesis::death_of_all,
        broken: None,
    };
    assert_finds(LostWrite, Run { broken: Some("ack-before-redis"), ..honest }, honest);
}

#[test]
fn the_checker_finds_a_write_that_was_forgotten_before_the_database_had_it() {
    let honest = Run {
        seed: 0,
        policy: CachePolicy::WRITE_BEHIND,
        length: SHORT,
        faults: nemesis::locked_at_last,
        broken: None,
    };
    assert_finds(LostWrite, Run { broken: Some("flush-forgets"), ..honest }, honest);
}

#[test]
fn the_checker_finds_a_counter_that_reads_and_then_writes() {
    let honest = Run {
        seed: 0,
        policy: CachePolicy::DEFAULT,
        length: SHORT,
        faults: nemesis::jitter,
        broken: None,
    };
    assert_finds(CountedTogether, Run { broken: Some("count-by-get-set"), ..honest }, honest);
}
