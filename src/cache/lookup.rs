//! What a lookup found, where, and what it did to the cache.

use std::time::Duration;

use crate::{model::Source, store::Trouble};

/// The answer to one lookup, as plain data.
#[derive(Debug, Clone)]
pub struct Lookup<T> {
    /// `None` means that the origin has no such value, as a cache may know, too.
    pub value: Option<T>,
    /// The value's version in the origin; `None` when there is no value.
    pub version: Option<u64>,
    /// Who answered.
    pub source: Source,
    /// The key in Redis, prefix and all.
    pub key: String,
    /// How long the cache will hold the value from now on.
    pub ttl: Option<Duration>,
    /// What a miss did to the cache.
    pub fill: Fill,
    /// Microseconds from question to answer, simulated time included.
    pub elapsed_us: u64,
}

/// What became of the value in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// It was there already.
    Unneeded,
    /// It is there now, for this long.
    Stored(Duration),
    /// Something newer is there already, and stays.
    Superseded,
    /// It could not be put there.
    Failed(Trouble),
    /// The caller wanted no cache.
    Bypassed,
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
    /// The same lookup of something made from the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Lookup<U> {
        let Self { value, version, source, key, ttl, fill, elapsed_us } = self;
        Lookup { value: value.map(make), version, source, key, ttl, fill, elapsed_us }
    }

    /// `Cache-Status` (RFC 9211) of this lookup. It never carries the key.
    pub fn cache_status(&self) -> String {
        match (&self.source, &self.fill) {
            (Source::Cache, _) => match self.ttl {
                Some(ttl) => format!("hitrate; hit; ttl={}", ttl.as_secs()),
                None => "hitrate; hit".to_owned(),
            },
            (_, Fill::Bypassed) => "hitrate; fwd=bypass".to_owned(),
            (_, Fill::Stored(_)) => "hitrate; fwd=uri-miss; stored".to_owned(),
            (_, _) => "hitrate; fwd=uri-miss".to_owned(),
        }
    }
}
