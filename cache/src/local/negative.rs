//! A rate limit on negative entries and tombstones: otherwise requests for made-up
//! ids would fill Redis with them.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Counts the entries of the current window, whose length is their TTL.
#[derive(Debug)]
pub struct NegativeLimit {
    /// Start of the window, and number of entries in it.
    window: Mutex<(Instant, u32)>,
    /// Entries admitted per window; `None` is unlimited.
    max: Option<u32>,
}

impl NegativeLimit {
    /// Admits so many entries per window; `None` is unlimited.
    pub fn new(max: Option<u32>) -> Self {
        Self { window: Mutex::new((Instant::now(), 0)), max }
    }

    /// Whether another entry with this TTL may be created.
    pub fn admit(&self, ttl: Duration) -> bool {
        let Some(max) = self.max else { return true };
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= ttl {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        window.1 <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_entries_are_admitted_than_may_exist_at_once() {
        let negative = NegativeLimit::new(Some(100));
        let ttl = Duration::from_secs(60);
        let admitted = (0..300).filter(|_| negative.admit(ttl)).count();
        assert_eq!(admitted, 100);
        assert!(negative.admit(Duration::ZERO), "the next window begins");
    }
}
