//! Probabilistic early refresh: a value is reloaded shortly before its TTL expires,
//! so that it does not expire for all readers at once.
//!
//! XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede
//! Prevention", VLDB 2015) decides independently for each read:
//!
//! ```text
//! refresh when  −δ · β · ln(u)  ≥  time left,   u drawn uniformly from (0, 1]
//! ```
//!
//! δ is the duration of the last load, and β a parameter (the authors recommend 1;
//! more refreshes earlier). With t left, a read refreshes with probability e^(−t /
//! δβ): a slow origin is asked earlier, and a busy key is refreshed by one of its
//! last readers. Here the refresh runs in the background, by one loader, and the
//! reader gets the copy.

use std::time::Duration;

/// Whether any draw could make a refresh due: the random number closest to 1 has a
/// logarithm of −36.7.
pub fn may_be_due(left: Duration, load_duration: Duration, beta: f64) -> bool {
    load_duration.as_secs_f64() * beta * 37.0 >= left.as_secs_f64()
}

/// Whether this read refreshes the value. `u` is a random number from 0 to 1.
pub fn is_due(left: Duration, load_duration: Duration, beta: f64, u: f64) -> bool {
    let ahead = -(load_duration.as_secs_f64() * beta) * (1.0 - u).ln();
    ahead >= left.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    /// The share of reads that refresh, against e^(−t / δβ): with 100,000 draws the
    /// measured share is within five standard deviations (< 0.008) of it.
    #[test]
    fn the_share_of_early_refreshes_follows_the_formula() {
        let mut random = StdRng::seed_from_u64(2015);
        let load_duration = Duration::from_millis(200);
        for (left_ms, beta) in
            [(0, 1.0), (100, 1.0), (200, 1.0), (600, 1.0), (200, 2.0), (200, 0.5)]
        {
            let left = Duration::from_millis(left_ms);
            let draws = 100_000;
            let due =
                (0..draws).filter(|_| is_due(left, load_duration, beta, random.random())).count();
            let share = due as f64 / f64::from(draws);
            let expected = (-(left_ms as f64) / (200.0 * beta)).exp();
            assert!((share - expected).abs() < 0.008, "{left_ms} ms left: {share}, not {expected}");
        }
    }

    #[test]
    fn the_bound_excludes_only_reads_that_no_draw_makes_due() {
        let (load_duration, highest) = (Duration::from_millis(10), 1.0 - f64::EPSILON / 2.0);
        for left_ms in 0..1_000 {
            let left = Duration::from_millis(left_ms);
            assert!(
                may_be_due(left, load_duration, 1.0) || !is_due(left, load_duration, 1.0, highest)
            );
        }
        assert!(!may_be_due(Duration::from_secs(1), load_duration, 1.0));
    }

    #[test]
    fn a_value_that_loads_instantly_is_not_refreshed_early() {
        assert!(!is_due(Duration::from_micros(1), Duration::ZERO, 1.0, 0.999_999));
    }
}
