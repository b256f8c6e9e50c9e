//! A rate limit on negative entries and tombstones: otherwise requests for made-up
//! ids would fill Redis with them.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Entries admitted per window, whose length is their TTL: some 200 KiB.
const MAX_ENTRIES: u32 = 1_000;

/// Counts the entries of the current window: its start, and their number.
#[derive(Debug)]
pub struct NegativeLimit(Mutex<(Instant, u32)>);

impl Default for NegativeLimit {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }
}

impl NegativeLimit {
    /// Whether another entry with this TTL may be created.
    pub fn admit(&self, ttl: Duration) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= ttl {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 <= MAX_ENTRIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_entries_are_admitted_than_may_exist_at_once() {
        let negative = NegativeLimit::default();
        let ttl = Duration::from_secs(60);
        let admitted = (0..MAX_ENTRIES * 3).filter(|_| negative.admit(ttl)).count();
        assert_eq!(admitted, MAX_ENTRIES as usize);
        assert!(negative.admit(Duration::ZERO), "the next window begins");
    }
}
