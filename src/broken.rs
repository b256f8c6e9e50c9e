//! Deliberate bugs, for the tests that show that such a bug would be found.
//! A release build has none of them: there `is` is always false.

use std::sync::OnceLock;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Write-behind acknowledges a write that only this process knows of.
    AckBeforeRedis,
    /// Write-behind takes a write off the queue before the database has it.
    FlushForgets,
    /// The counter is counted up by GET and SET.
    CountByGetSet,
}

static NOW: OnceLock<Broken> = OnceLock::new();

impl Broken {
    const ALL: [(&str, Self); 3] = [
        ("ack-before-redis", Self::AckBeforeRedis),
        ("flush-forgets", Self::FlushForgets),
        ("count-by-get-set", Self::CountByGetSet),
    ];
}

/// Breaks this process from now on, where such a bug has this name.
pub fn by(name: &str) {
    let found = Broken::ALL.into_iter().find(|(word, _)| *word == name);
    if let (true, Some((_, broken))) = (cfg!(debug_assertions), found) {
        log::warn!("deliberately broken: {name}");
        let _ = NOW.set(broken);
    }
}

/// Whether this process is broken so.
pub fn is(broken: Broken) -> bool {
    cfg!(debug_assertions) && NOW.get() == Some(&broken)
}
