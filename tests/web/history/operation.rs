//! What clients did and were told, each with its times.

use std::{fmt, time::Duration};

/// The value of every key before the first write.
pub const INITIAL: u64 = 0;

/// One thing that one client did. Times are since the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The hitrate that was asked.
    pub process: usize,
    pub worker: usize,
    pub start: Duration,
    pub end: Duration,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Each write of a run writes another value.
    Write {
        key: &'static str,
        value: u64,
        outcome: Outcome,
    },
    Read {
        key: &'static str,
        value: u64,
        door: Door,
    },
    /// A visit and its number, if it was told one.
    Count(Option<u64>),
}

/// What the writer knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It is written, and the cache knows.
    Acknowledged,
    /// It is written, and the answer says that the cache could not be told yet.
    Untold,
    /// It may have been written, or will be, or not.
    Unknown,
    /// The writer does not know, but somebody saw it in the database.
    Observed,
}

/// How something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    Cache,
    /// Through the cache, and the answer says that it had to do without Redis.
    Detour,
    /// Through the cache, and the answer says that neither Redis nor the
    /// database could be asked.
    Memory,
    /// With `cache=off`.
    Origin,
    /// With `cache=off`, when all was healed and at rest.
    OriginAtRest,
    /// Through the cache, when all was healed and at rest.
    CacheAtRest,
}

impl Operation {
    /// Key and value, of a write that was acknowledged.
    pub fn acknowledged(&self) -> Option<(&'static str, u64)> {
        match self.kind {
            Kind::Write { outcome: Outcome::Unknown, .. } => None,
            Kind::Write { key, value, .. } => Some((key, value)),
            _ => None,
        }
    }

    /// When this write was over at the latest; `None` when that is not known.
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
            Kind::Read { key, value: INITIAL, door } => {
                write!(f, "read  {key} as it was, {door:?}")
            }
            Kind::Read { key, value, door } => write!(f, "read  {key} = w-{value}, {door:?}"),
            Kind::Count(Some(number)) => write!(f, "was visitor {number}"),
            Kind::Count(None) => write!(f, "was told no number"),
        }
    }
}
