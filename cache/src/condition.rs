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
    current: Mutex<Option<Failing<T>>>,
    /// Logged with each change: what is meant, and what follows from it.
    subject: &'static str,
}

struct Failing<T> {
    latest: T,
    since: Instant,
    /// What the log has heard since then. Two errors that take turns are
    /// told once each.
    logged: Vec<T>,
}

/// The most errors told before it is well again.
const MAX_LOGGED: usize = 8;

impl<T: Clone + PartialEq + Display> Condition<T> {
    /// Nothing is wrong yet with `subject`.
    pub const fn healthy(subject: &'static str) -> Self {
        Self { is_failing: AtomicBool::new(false), current: Mutex::new(None), subject }
    }

    /// It failed, by `error`.
    pub fn failing(&self, error: &T) {
        let mut current = self.current.lock().expect("nobody panics while changing a condition");
        let current = current.get_or_insert_with(|| Failing {
            latest: error.clone(),
            since: Instant::now(),
            logged: Vec::new(),
        });
        current.latest = error.clone();
        if !current.logged.contains(error) && current.logged.len() < MAX_LOGGED {
            log::warn!("{}: {error}", self.subject);
            current.logged.push(error.clone());
        }
        self.is_failing.store(true, Ordering::Release);
    }

    /// It worked. Costs one atomic read while nothing is wrong.
    pub fn recovered(&self) {
        if !self.is_failing.load(Ordering::Acquire) {
            return;
        }
        let mut current = self.current.lock().expect("nobody panics while changing a condition");
        if let Some(error) = current.take() {
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
        let current = self.current.lock().expect("nobody panics while changing a condition");
        current.as_ref().map(|error| (error.latest.clone(), error.since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_failure_until_it_recovers() {
        let condition = Condition::healthy("the test");
        assert!(condition.failure().is_none());
        condition.failing(&"broken");
        condition.failing(&"broken");
        assert_eq!(condition.failure().unwrap().0, "broken");
        condition.recovered();
        assert!(condition.failure().is_none());
    }
}
