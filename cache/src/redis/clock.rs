//! Redis's clock. Processes on several machines need one clock to agree on the age
//! of a copy, and asking for the time would cost a round trip.

use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::time::{micros, now_ms};

/// The instant that offsets are relative to. The system clock may jump; this one
/// does not.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// How much two clocks drift apart: 200 µs a second, two quartz clocks at their worst.
const DRIFT: u64 = 5_000;

/// The server's clock as of its last reply, accurate to half a round trip.
pub struct ServerClock {
    /// Microseconds from the server's epoch to our [`START`]; readable without a lock.
    offset: AtomicI64,
    reading: Mutex<Reading>,
}

/// One reply of the server.
#[derive(Clone, Copy)]
struct Reading {
    offset: i64,
    /// The error bound of `offset`, in microseconds.
    error: u64,
    /// When it arrived, in microseconds since [`START`].
    at: u64,
}

impl Reading {
    /// The error bound of the time now, in microseconds.
    fn error_at(&self, since_start: u64) -> u64 {
        self.error + since_start.saturating_sub(self.at) / DRIFT
    }
}

impl Default for ServerClock {
    /// The local time, until the server replies with its own.
    fn default() -> Self {
        let reading = Reading { offset: 0, error: 0, at: 0 };
        let clock = Self { offset: AtomicI64::new(0), reading: Mutex::new(reading) };
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
        // Rounded up.
        let reading = Reading { offset, error: error + 1, at: since_start };
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = reading;
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// Microseconds since 1970, UTC, by the server's clock.
    pub fn now(&self) -> u64 {
        let since_start = micros(START.elapsed()).cast_signed();
        (self.offset.load(Ordering::Relaxed) + since_start).unsigned_abs()
    }

    /// A time that the server's clock has certainly passed.
    pub fn lower_bound(&self) -> u64 {
        let (reading, since_start) = (self.reading(), micros(START.elapsed()));
        let now = (reading.offset + since_start.cast_signed()).unsigned_abs();
        now.saturating_sub(reading.error_at(since_start))
    }

    /// The error bound of [`Self::now`] when the server replied, in either direction.
    /// Without drift: writes wait for it, and a server may be away for hours.
    pub fn error(&self) -> Duration {
        Duration::from_micros(self.reading().error)
    }

    fn reading(&self) -> Reading {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(clock.lower_bound() < clock.now());
    }

    #[test]
    fn the_error_grows_as_clocks_drift() {
        let reading = Reading { offset: 0, error: 40, at: 1_000_000 };
        assert_eq!(reading.error_at(1_000_000), 40);
        assert_eq!(reading.error_at(11_000_000), 40 + 2_000, "after ten seconds");
    }
}
