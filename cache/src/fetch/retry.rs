//! Exponential backoff with full jitter (Brooker: "Exponential Backoff And Jitter",
//! AWS Architecture Blog, 2015). Each delay is drawn uniformly between zero and a
//! ceiling that doubles, so that callers that failed together don't retry together.

use std::time::Duration;

/// The ceilings of a series of delays.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The ceiling of the first delay.
    pub base: Duration,
    /// The highest ceiling.
    pub max: Duration,
}

impl Backoff {
    /// The delay before attempt `attempt` + 1. `u` is a random number from 0 to 1.
    pub fn delay(&self, attempt: u32, u: f64) -> Duration {
        let ceiling = self.base.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        ceiling.min(self.max).mul_f64(u.clamp(0.0, 1.0))
    }

    /// A random delay before attempt `attempt` + 1.
    pub fn random_delay(&self, attempt: u32) -> Duration {
        self.delay(attempt, rand::random())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_delay_never_exceeds_its_ceiling(attempt in 0..200_u32, u in 0.0..1.0_f64) {
            let backoff = Backoff { base: Duration::from_millis(10), max: Duration::from_secs(1) };
            let delay = backoff.delay(attempt, u);
            prop_assert!(delay <= backoff.max);
            if attempt < 6 {
                prop_assert!(delay <= backoff.base * 2_u32.pow(attempt));
            }
        }
    }
}
