//! A condition that comes and goes, spoken of once per change.

use std::{
    fmt::Display,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Remembers what is wrong with something, so that the log hears of a change
/// and not of every request that met it.
pub struct Condition<T> {
    is_failing: AtomicBool,
    now: Mutex<Option<Failing<T>>>,
    /// Logged with each change: what is meant, and what follows from it.
    subject: &'static str,
}

struct Failing<T> {
    latest: T,
    since: Instant,
    /// What the log has heard since then. Two errors that take turns are
    /// told once each.
    told: Vec<T>,
}

/// The most errors told before it is well again.
const TOLD_MAX: usize = 8;

impl<T: Clone + PartialEq + Display> Condition<T> {
    /// Nothing is wrong yet with `subject`.
    pub const fn healthy(subject: &'static str) -> Self {
        Self { is_failing: AtomicBool::new(false), now: Mutex::new(None), subject }
    }

    /// It failed, by `error`.
    pub fn failing(&self, error: &T) {
        let mut now = self.now.lock().expect("nobody panics while changing a condition");
        let now = now.get_or_insert_with(|| Failing {
            latest: error.clone(),
            since: Instant::now(),
            told: Vec::new(),
        });
        now.latest = error.clone();
        if !now.told.contains(error) && now.told.len() < TOLD_MAX {
            log::warn!("{}: {error}", self.subject);
            now.told.push(error.clone());
        }
        self.is_failing.store(true, Ordering::Release);
    }

    /// It worked. Costs one atomic read while nothing is wrong.
    pub fn recovered(&self) {
        if !self.is_failing.load(Ordering::Acquire) {
            return;
        }
        let mut now = self.now.lock().expect("nobody panics while changing a condition");
        if let Some(error) = now.take() {
            self.is_failing.store(false, Ordering::Release);
            let lasted = error.since.elapsed().as_secs_f64();
            log::info!("{}: recovered after {lasted:.1} s", self.subject);
        }
    }

    /// What is wrong, and for how long already.
    pub fn failure(&self) -> Option<(T, Duration)> {
        if !self.is_failing.load(Ordering::Acquire) {
            return None;
        }
        let now = self.now.lock().expect("nobody panics while changing a condition");
        now.as_ref().map(|error| (error.latest.clone(), error.since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mood_keeps_the_trouble_until_it_recovers() {
        let condition = Condition::healthy("the test");
        assert!(condition.failure().is_none());
        condition.failing(&"broken");
        condition.failing(&"broken");
        assert_eq!(condition.failure().unwrap().0, "broken");
        condition.recovered();
        assert!(condition.failure().is_none());
    }
}
