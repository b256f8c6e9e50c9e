//! Conditions of a component, logged once per change.

use std::{
    fmt::Display,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Tracks whether a component is healthy or failing, so that the log gets one line
/// per change and not one per affected request.
pub struct Condition<T> {
    is_failing: AtomicBool,
    current: Mutex<Option<Failing<T>>>,
    /// The start of each log line: the component, and the effect of a failure.
    subject: &'static str,
}

struct Failing<T> {
    latest: T,
    since: Instant,
    /// The errors logged since then. Of two errors that alternate, each is logged
    /// once.
    logged: Vec<T>,
}

/// Distinct errors logged until the component recovers.
const MAX_LOGGED: usize = 8;

impl<T: Clone + PartialEq + Display> Condition<T> {
    /// A condition that starts healthy.
    pub const fn healthy(subject: &'static str) -> Self {
        Self { is_failing: AtomicBool::new(false), current: Mutex::new(None), subject }
    }

    /// Records a failure, and logs it unless this error is logged already.
    pub fn failing(&self, error: &T) {
        let mut current = self.current.lock().expect("changing a condition does not panic");
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

    /// Records a success, and logs a recovery. Costs one atomic read while healthy.
    pub fn recovered(&self) {
        if !self.is_failing.load(Ordering::Acquire) {
            return;
        }
        let mut current = self.current.lock().expect("changing a condition does not panic");
        if let Some(error) = current.take() {
            self.is_failing.store(false, Ordering::Release);
            let lasted = error.since.elapsed().as_secs_f64();
            log::info!("{}: recovered after {lasted:.1} s", self.subject);
        }
    }

    /// The latest error, and how long the failure has lasted; `None` while healthy.
    pub fn failure(&self) -> Option<(T, Duration)> {
        if !self.is_failing.load(Ordering::Acquire) {
            return None;
        }
        let current = self.current.lock().expect("changing a condition does not panic");
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
