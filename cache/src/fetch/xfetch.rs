//! Early refresh: a value is reloaded shortly before its TTL ends, by chance,
//! so that it does not end for everyone at once.
//!
//! XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache
//! Stampede Prevention", VLDB 2015) decides for each read on its own:
//!
//! ```text
//! refresh when  −δ · β · ln(u)  ≥  time left,   u drawn evenly from (0, 1]
//! ```
//!
//! δ is how long the last load took, β a parameter (1 is the authors' choice;
//! more refreshes earlier). So with a time t left, a read refreshes with
//! probability e^(−t / δβ): a slow origin is asked earlier, and a key that is
//! read often is refreshed by one of its last readers. The refresh runs in the
//! background here, by one loader, and the reader gets the copy.

use std::time::Duration;

/// Whether a read may refresh the value now, whatever is drawn: of the numbers
/// that are, the one nearest to 1 has a logarithm of −36.7.
pub fn may_be_due(left: Duration, load_duration: Duration, beta: f64) -> bool {
    load_duration.as_secs_f64() * beta * 37.0 >= left.as_secs_f64()
}

/// Whether a read shall refresh the value now. `u` is drawn from 0 to 1.
pub fn is_due(left: Duration, load_duration: Duration, beta: f64, u: f64) -> bool {
    let ahead = -(load_duration.as_secs_f64() * beta) * (1.0 - u).ln();
    ahead >= left.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    /// The share of reads that refresh, against e^(−t / δβ): 100,000 draws put
    /// the measured share within five standard deviations (< 0.008) of it.
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
