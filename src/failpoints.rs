//! Deliberate faults, for the tests that show that such a fault would be found.
//! A release build has none of them: there `is_active` is always false.

use std::sync::OnceLock;

/// A deliberate fault of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// One of the cache's.
    Cache(hitrate_cache::Failpoint),
    /// The counter is incremented by GET and SET.
    CountByGetSet,
}

static ACTIVE: OnceLock<Failpoint> = OnceLock::new();

const ALL: [(&str, Failpoint); 3] = [
    ("ack-before-redis", Failpoint::Cache(hitrate_cache::Failpoint::AckBeforeRedis)),
    ("flush-forgets", Failpoint::Cache(hitrate_cache::Failpoint::FlushForgets)),
    ("count-by-get-set", Failpoint::CountByGetSet),
];

/// Turns on the fault of this name from now on, where there is one.
pub fn enable(name: &str) {
    let found = ALL.into_iter().find(|(word, _)| *word == name);
    if let (true, Some((_, failpoint))) = (cfg!(debug_assertions), found) {
        log::warn!("failpoint enabled: {name}");
        let _ = ACTIVE.set(failpoint);
    }
}

/// Whether this process has that fault.
pub fn is_active(failpoint: Failpoint) -> bool {
    cfg!(debug_assertions) && ACTIVE.get() == Some(&failpoint)
}
