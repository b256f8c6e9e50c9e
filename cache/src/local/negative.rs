//! A bound on the marks of absence in Redis: whoever makes up ids would fill
//! it with them otherwise.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most marks that one process makes within the TTL of one: some 200 KiB.
const MOST: u32 = 1_000;

/// Counts the marks of the current stretch of time.
#[derive(Debug)]
pub struct NegativeLimit(Mutex<(Instant, u32)>);

impl Default for NegativeLimit {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }
}

impl NegativeLimit {
    /// Whether one more mark, which will live for `ttl`, may be made.
    pub fn admit(&self, ttl: Duration) -> bool {
        let mut stretch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stretch.0.elapsed() >= ttl {
            *stretch = (Instant::now(), 0);
        }
        stretch.1 += 1;
        stretch.1 <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_marks_are_made_than_are_allowed_to_live_at_once() {
        let negative = NegativeLimit::default();
        let ttl = Duration::from_secs(60);
        let made = (0..MOST * 3).filter(|_| negative.admit(ttl)).count();
        assert_eq!(made, MOST as usize);
        assert!(negative.admit(Duration::ZERO), "the next stretch begins");
    }
}
