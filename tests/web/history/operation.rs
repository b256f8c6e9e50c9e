//! The operations of clients, with results and times.

use std::{fmt, time::Duration};

/// The value of every key before the first write.
pub const INITIAL: u64 = 0;

/// One operation of one client. Times are since the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The hitrate process that received the request.
    pub process: usize,
    pub worker: usize,
    pub start: Duration,
    pub end: Duration,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A write. No value is written twice in a run.
    Write {
        key: &'static str,
        value: u64,
        outcome: Outcome,
    },
    Read {
        key: &'static str,
        value: u64,
        route: Route,
    },
    /// A visit, and its number if the response has one.
    Count(Option<u64>),
}

/// The result of a write, as the writer knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Written, and the cache was updated or invalidated.
    Acknowledged,
    /// Written, and the response reports a deferred invalidation.
    Deferred,
    /// No acknowledgement: the write may take effect now, later or never.
    Unknown,
    /// No acknowledgement, but a read of the database returned the value.
    Observed,
}

/// The route of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Through the cache.
    Cache,
    /// Through the cache, which loaded the database and could not store the value in
    /// Redis.
    WithoutRedis,
    /// Through the cache, which served a stale copy because Redis and the database
    /// failed.
    StaleMemory,
    /// With `cache=off`.
    Origin,
    /// With `cache=off`, after all faults are repaired and all writes flushed.
    OriginAtRest,
    /// Through the cache, after all faults are repaired and all writes flushed.
    CacheAtRest,
}

impl Operation {
    /// Key and value of a write that is known to have taken effect.
    pub fn acknowledged(&self) -> Option<(&'static str, u64)> {
        match self.kind {
            Kind::Write { outcome: Outcome::Unknown, .. } => None,
            Kind::Write { key, value, .. } => Some((key, value)),
            _ => None,
        }
    }

    /// When this write had taken effect at the latest; `None` if unknown.
    pub fn over(&self) -> Option<Duration> {
        self.acknowledged().map(|_| self.end)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let (start, end) = (ms(self.start), ms(self.end));
        write!(
            f,
            "{start:9.1} – {end:9.1} ms  process {} client {:2}  ",
            self.process, self.worker
        )?;
        match &self.kind {
            Kind::Write { key, value, outcome } => {
                write!(f, "wrote {key} = w-{value}, {outcome:?}")
            }
            Kind::Read { key, value: INITIAL, route } => {
                write!(f, "read  {key} = initial value, {route:?}")
            }
            Kind::Read { key, value, route } => write!(f, "read  {key} = w-{value}, {route:?}"),
            Kind::Count(Some(number)) => write!(f, "visit {number}"),
            Kind::Count(None) => write!(f, "visit without a number"),
        }
    }
}
