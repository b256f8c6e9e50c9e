//! Deliberate faults, for tests that prove that the fault tests detect them. In
//! release builds `is_active` is always false.

use std::sync::OnceLock;

/// A deliberate fault of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppFailpoint {
    /// A failpoint of the cache crate.
    Cache(hitrate_cache::Failpoint),
    /// The counter is incremented by GET and SET, which loses updates.
    CountByGetSet,
}

static ACTIVE: OnceLock<AppFailpoint> = OnceLock::new();

const ALL: [(&str, AppFailpoint); 3] = [
    ("ack-before-redis", AppFailpoint::Cache(hitrate_cache::Failpoint::AckBeforeRedis)),
    ("flush-forgets", AppFailpoint::Cache(hitrate_cache::Failpoint::FlushForgets)),
    ("count-by-get-set", AppFailpoint::CountByGetSet),
];

/// Enables the failpoint of this name; unknown names are ignored.
pub fn enable(name: &str) {
    let found = ALL.into_iter().find(|(known, _)| *known == name);
    if let (true, Some((_, failpoint))) = (cfg!(debug_assertions), found) {
        log::warn!("failpoint enabled: {name}");
        let _ = ACTIVE.set(failpoint);
    }
}

/// Whether this failpoint is enabled.
pub fn is_active(failpoint: AppFailpoint) -> bool {
    cfg!(debug_assertions) && ACTIVE.get() == Some(&failpoint)
}
