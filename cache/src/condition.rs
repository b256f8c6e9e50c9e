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
pub struct Mood<T> {
    troubled: AtomicBool,
    now: Mutex<Option<Trouble<T>>>,
    /// Logged with each change: what is meant, and what follows from it.
    subject: &'static str,
}

struct Trouble<T> {
    latest: T,
    since: Instant,
    /// What the log has heard since then. Two troubles that take turns are
    /// told once each.
    told: Vec<T>,
}

/// The most troubles told before it is well again.
const TOLD_MAX: usize = 8;

impl<T: Clone + PartialEq + Display> Mood<T> {
    /// Nothing is wrong yet with `subject`.
    pub const fn good(subject: &'static str) -> Self {
        Self { troubled: AtomicBool::new(false), now: Mutex::new(None), subject }
    }

    /// It failed, by `trouble`.
    pub fn bad(&self, trouble: &T) {
        let mut now = self.now.lock().expect("nobody panics while changing a mood");
        let now = now.get_or_insert_with(|| Trouble {
            latest: trouble.clone(),
            since: Instant::now(),
            told: Vec::new(),
        });
        now.latest = trouble.clone();
        if !now.told.contains(trouble) && now.told.len() < TOLD_MAX {
            log::warn!("{}: {trouble}", self.subject);
            now.told.push(trouble.clone());
        }
        self.troubled.store(true, Ordering::Release);
    }

    /// It worked. Costs one atomic read while nothing is wrong.
    pub fn well(&self) {
        if !self.troubled.load(Ordering::Acquire) {
            return;
        }
        let mut now = self.now.lock().expect("nobody panics while changing a mood");
        if let Some(trouble) = now.take() {
            self.troubled.store(false, Ordering::Release);
            let lasted = trouble.since.elapsed().as_secs_f64();
            log::info!("{}: well again after {lasted:.1} s", self.subject);
        }
    }

    /// What is wrong, and for how long already.
    pub fn trouble(&self) -> Option<(T, Duration)> {
        if !self.troubled.load(Ordering::Acquire) {
            return None;
        }
        let now = self.now.lock().expect("nobody panics while changing a mood");
        now.as_ref().map(|trouble| (trouble.latest.clone(), trouble.since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mood_keeps_the_trouble_until_it_is_well() {
        let mood = Mood::good("the test");
        assert!(mood.trouble().is_none());
        mood.bad(&"broken");
        mood.bad(&"broken");
        assert_eq!(mood.trouble().unwrap().0, "broken");
        mood.well();
        assert!(mood.trouble().is_none());
    }
}
