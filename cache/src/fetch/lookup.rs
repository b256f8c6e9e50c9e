//! The result of a lookup: the value, its source, and its effect on the cache.

use std::{sync::Arc, time::Duration};

use crate::{Source, redis::RedisError};

/// The result of one lookup, as plain data.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lookup<T> {
    /// `None` if the origin has no such value, which may be cached as well.
    pub value: Option<Arc<T>>,
    /// The value's version: the origin's, or when its load began, in microseconds since
    /// 1970 by Redis's clock. `None` if there is no value.
    pub version: Option<u64>,
    /// Where the answer came from.
    pub source: Source,
    /// The key in Redis, prefix included.
    pub key: String,
    /// How much longer the cached copy is fresh, if there is one that expires.
    pub ttl: Option<Duration>,
    /// How long ago the TTL expired, for a stale value.
    pub stale_for: Duration,
    /// Time since the value was loaded from the origin.
    pub age: Duration,
    /// How a miss changed the cache.
    pub fill: Fill,
    /// Why the origin was asked, if it was.
    pub forward: Forward,
    /// Whether the lookup shared a load that another one had started.
    pub collapsed: bool,
    /// Time until the answer.
    pub elapsed: Duration,
}

impl<T> Clone for Lookup<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), key: self.key.clone(), fill: self.fill.clone(), ..*self }
    }
}

/// The effect of a lookup on the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fill {
    /// Nothing had to be stored.
    NotNeeded,
    /// The value was stored, with this TTL.
    Stored(Duration),
    /// The value was not stored, as it may be outdated: the cache has a newer one, or the key
    /// was invalidated during the load, or so much time has passed that it may have been.
    Superseded,
    /// Storing the value failed.
    Failed(RedisError),
    /// The entry exceeds the size limit, and was not stored.
    TooLarge,
    /// The answer was not cached: the policy has no negative caching, or its limit
    /// was reached, or the codec failed, or a tag of the value was invalidated during the
    /// load, or the namespace mixes values with and without a version.
    NotCached,
    /// The cache was bypassed.
    Bypassed,
}

/// Why the origin was asked, in the terms of RFC 9211.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forward {
    /// The origin was not asked.
    No,
    /// The cache had no copy.
    Miss,
    /// The cached copy was past its TTL.
    Stale,
    /// The cache was bypassed.
    Bypass,
}

impl Fill {
    /// The TTL of the value, if it was just stored.
    pub fn ttl(&self) -> Option<Duration> {
        match self {
            Self::Stored(ttl) => Some(*ttl),
            _ => None,
        }
    }
}

impl<T> Lookup<T> {
    /// The `Cache-Status` header (RFC 9211) of this lookup, for a cache of this name.
    /// Never contains the key.
    pub fn cache_status(&self, name: &str) -> String {
        match self.source {
            Source::Database => self.forwarded(name),
            source => self.hit(name, source),
        }
    }

    fn hit(&self, name: &str, source: Source) -> String {
        let (label, seconds) = match self.ttl {
            // A negative TTL says how long ago it expired; at least 1 s, as 0 would
            // mean just now.
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
            Some(seconds) => [name, "; hit", label, &seconds.to_string(), detail].concat(),
            None => [name, "; hit", detail].concat(),
        }
    }

    fn forwarded(&self, name: &str) -> String {
        let why = match self.forward {
            Forward::Bypass => "bypass",
            Forward::Stale => "stale",
            Forward::Miss | Forward::No => "uri-miss",
        };
        let stored = if matches!(self.fill, Fill::Stored(_)) { "; stored" } else { "" };
        let collapsed = if self.collapsed { "; collapsed" } else { "" };
        format!("{name}; fwd={why}{stored}{collapsed}")
    }
}
