//! Redis's clock. Processes on several machines need one clock to agree on the age
//! of a copy, and asking for the time would cost a round trip.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::time::{micros, now_ms};

/// The instant that offsets are relative to. The system clock may jump; this one
/// does not.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The server's clock as of its last reply, accurate to half a round trip.
pub struct ServerClock {
    /// Microseconds from the server's epoch to our [`START`].
    offset: AtomicI64,
    /// The error bound of `offset`, in microseconds.
    error: AtomicU64,
}

impl Default for ServerClock {
    /// The local time, until the server replies with its own.
    fn default() -> Self {
        let clock = Self { offset: AtomicI64::new(0), error: AtomicU64::new(0) };
        clock.set(now_ms() * 1000, Instant::now());
        clock
    }
}

impl ServerClock {
    /// Records that the server's clock showed `time`, in microseconds since 1970,
    /// at some instant between `sent` and now.
    pub fn set(&self, time: u64, sent: Instant) {
        let error = micros(sent.elapsed() / 2);
        let since_start = micros(sent.saturating_duration_since(*START)) + error;
        let offset = time.cast_signed() - since_start.cast_signed();
        self.offset.store(offset, Ordering::Relaxed);
        self.error.store(error, Ordering::Relaxed);
    }

    /// Microseconds since 1970, UTC, by the server's clock.
    pub fn now(&self) -> u64 {
        let since_start = micros(START.elapsed()).cast_signed();
        (self.offset.load(Ordering::Relaxed) + since_start).unsigned_abs()
    }

    /// The error bound of [`Self::now`], in either direction.
    pub fn error(&self) -> Duration {
        Duration::from_micros(self.error.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_continues_from_the_servers_answer() {
        let clock = ServerClock::default();
        clock.set(1_000_000_000, Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        assert!((1_000_002_000..1_060_000_000).contains(&clock.now()), "{}", clock.now());
    }
}
