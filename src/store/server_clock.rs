//! What time it is in Redis. Processes on several machines agree on how old a
//! copy is only by one clock, and asking for it each time would cost a round trip.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use crate::clock::{micros, now_ms};

/// The instant that offsets count from. Our own wall clock may jump; this does not.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The server's clock, as of its last answer: right to about half a round trip.
pub struct ServerClock(AtomicI64);

impl Default for ServerClock {
    /// Our own time, until the server tells its.
    fn default() -> Self {
        let clock = Self(AtomicI64::new(0));
        clock.set(now_ms() * 1000, Instant::now());
        clock
    }
}

impl ServerClock {
    /// It was `time`, in microseconds since 1970, at this instant.
    pub fn set(&self, time: u64, at: Instant) {
        let since_start = micros(at.saturating_duration_since(*START));
        let offset = time.cast_signed() - since_start.cast_signed();
        self.0.store(offset, Ordering::Relaxed);
    }

    /// Microseconds since 1970, UTC, by the server's clock.
    pub fn now(&self) -> u64 {
        let since_start = micros(START.elapsed()).cast_signed();
        (self.0.load(Ordering::Relaxed) + since_start).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_on_from_what_the_server_said() {
        let clock = ServerClock::default();
        clock.set(1_000_000_000, Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        assert!((1_000_002_000..1_060_000_000).contains(&clock.now()), "{}", clock.now());
    }
}
