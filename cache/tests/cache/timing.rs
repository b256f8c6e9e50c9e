//! Time limits of tests.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How many times as long as it should anything may take here: many tests run at
/// once, beside whatever else the machine does. What is promised is judged by the
/// best of several tries.
pub const BUSY: u32 = 5;

/// Waits until something holds that should within `limit`.
pub fn eventually(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit * BUSY;
    while !holds() {
        assert!(Instant::now() < end, "not within {BUSY} × {limit:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether one of several tries takes no longer than this: nothing else was in its way.
pub fn is_kept(promise: Duration, mut attempt: impl FnMut() -> Duration) -> bool {
    (0..5).any(|_| attempt() < promise)
}
