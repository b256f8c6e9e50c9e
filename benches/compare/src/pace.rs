//! How often and how long to measure.

use std::time::Duration;

/// The numbers of rounds, and the limits of calls.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub name: &'static str,
    /// Rounds of a trial that is short.
    pub short: usize,
    /// Rounds of a trial that waits for deadlines.
    pub long: usize,
    /// Rounds of a trial whose measurements are noisy.
    pub noisy: usize,
    /// Limit of a call.
    pub limit: Duration,
    /// Limit of a call that may wait for several reconnects.
    pub reconnect_limit: Duration,
    /// Single hits per round.
    pub hits: usize,
}

/// Some minutes: for numbers to publish.
pub const FULL: Pace = Pace {
    name: "full",
    short: 5,
    long: 3,
    noisy: 15,
    limit: Duration::from_secs(8),
    reconnect_limit: Duration::from_secs(25),
    hits: 2_000,
};

/// Under a minute.
pub const QUICK: Pace = Pace {
    name: "quick",
    short: 3,
    long: 1,
    noisy: 3,
    limit: Duration::from_secs(2),
    reconnect_limit: Duration::from_secs(2),
    hits: 300,
};
