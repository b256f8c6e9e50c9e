//! What a lookup found, where, and what it did to the cache.

use std::{sync::Arc, time::Duration};

use crate::{Source, redis::RedisError};

/// The answer to one lookup, as plain data.
#[derive(Debug, Clone)]
pub struct Lookup<T> {
    /// `None` means that the origin has no such value, as a cache may know, too.
    pub value: Option<Arc<T>>,
    /// The value's version in the origin; `None` when there is no value.
    pub version: Option<u64>,
    /// Who answered.
    pub source: Source,
    /// The key in Redis, prefix and all.
    pub key: String,
    /// How long the cache will hold the value as fresh from now on.
    pub ttl: Option<Duration>,
    /// How long ago that time ended, for a stale value.
    pub stale_for: Duration,
    /// Since the value was loaded from the origin.
    pub age: Duration,
    /// What a miss did to the cache.
    pub fill: Fill,
    /// Why there was something to load, where there was.
    pub forward: Forward,
    /// Whether the answer is that of a load which another lookup had begun.
    pub collapsed: bool,
    /// The policy's name.
    pub policy: &'static str,
    /// Microseconds from question to answer, simulated time included.
    pub elapsed_us: u64,
}

/// What became of the value in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// It was there already.
    NotNeeded,
    /// It is there now, for this long.
    Stored(Duration),
    /// Something newer is there already, and stays.
    Superseded,
    /// It could not be put there.
    Failed(RedisError),
    /// It was not put there: its entry is larger than the cache allows.
    TooLarge,
    /// Not kept: it is missing, and Redis keeps enough of such marks already.
    NotCached,
    /// The caller wanted no cache.
    Bypassed,
}

/// Why the origin was asked, in the words of RFC 9211.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// It was not.
    No,
    /// The cache had nothing under this key.
    Miss,
    /// What it had was past its TTL.
    Stale,
    /// The cache was not asked.
    Bypass,
}

impl Fill {
    /// How long the value will stay, where it was stored just now.
    pub fn ttl(&self) -> Option<Duration> {
        match self {
            Self::Stored(ttl) => Some(*ttl),
            _ => None,
        }
    }
}

impl<T> Lookup<T> {
    /// `Cache-Status` (RFC 9211) of this lookup. It never carries the key.
    pub fn cache_status(&self) -> String {
        match self.source {
            Source::Database => self.forwarded(),
            source => self.hit(source),
        }
    }

    fn hit(&self, source: Source) -> String {
        let (label, seconds) = match self.ttl {
            // A negative TTL says how long ago it ended; at least a second, as
            // zero would read as just now.
            _ if source == Source::Stale && !self.stale_for.is_zero() => {
                ("; ttl=-", Some(self.stale_for.as_secs().max(1)))
            }
            ttl => ("; ttl=", ttl.map(|ttl| ttl.as_secs())),
        };
        let detail = match source {
            Source::Stale => "; detail=stale",
            Source::Memory => "; detail=memory",
            _ => "",
        };
        match seconds {
            Some(seconds) => ["hitrate; hit", label, &seconds.to_string(), detail].concat(),
            None => ["hitrate; hit", detail].concat(),
        }
    }

    fn forwarded(&self) -> String {
        let why = match self.forward {
            Forward::Bypass => "bypass",
            Forward::Stale => "stale",
            Forward::Miss | Forward::No => "uri-miss",
        };
        let stored = if matches!(self.fill, Fill::Stored(_)) { "; stored" } else { "" };
        let collapsed = if self.collapsed { "; collapsed" } else { "" };
        format!("hitrate; fwd={why}{stored}{collapsed}")
    }
}
