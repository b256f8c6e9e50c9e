//! Peeking: what the caches hold of one key, seen without using it. Nothing is
//! counted, filled or dropped, and nothing is told on an act's trace.

use std::{sync::Arc, time::Duration};

use crate::{
    Cache, Cached, Key,
    entry::{self, Content},
    fetch::probe::{Probe, RawCopy},
    local::cached_copy::CachedCopy,
    redis::RedisError,
    trace::Trace,
};

/// What the caches hold of one key.
#[derive(Debug, Clone)]
pub struct Inspection<T> {
    /// In Redis, if it could say.
    pub redis: Result<CacheState<T>, RedisError>,
    /// In this process; `None` while Redis does not tell it of changes, for
    /// then it keeps nothing.
    pub near: Option<CacheState<T>>,
}

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState<T> {
    /// Nothing.
    Nothing,
    /// A copy that is served.
    Copy {
        /// The value.
        value: Arc<T>,
        /// Its version.
        version: u64,
        /// Since it was loaded from the origin.
        age: Duration,
        /// How long it will be served here.
        left: Duration,
    },
    /// A value that waits for the origin: it is written behind.
    Pending {
        /// The value.
        value: Arc<T>,
        /// Its version.
        version: u64,
    },
    /// The knowledge that the origin has none, for so long.
    Absent(Duration),
    /// A mark that copies below this version were dropped.
    Tombstone(u64),
    /// A copy of this version that is served no more: its TTL ended, or its
    /// tag moved on.
    Expired(u64),
    /// What was not written by hitrate.
    Corrupt,
}

impl<T> CacheState<T> {
    fn from_copy(copy: CachedCopy<T>, left: Duration) -> Self {
        let CachedCopy { version, age, .. } = copy;
        match copy.value {
            Some(value) => Self::Copy { value, version, age, left },
            None => Self::Absent(left),
        }
    }
}

impl Cache {
    /// What the caches hold of `key` at the moment. One read of Redis, which
    /// counts it as it counts any client's.
    pub async fn inspect<T: Cached>(&self, key: &Key<T>) -> Inspection<T> {
        Inspection { redis: self.inspect_redis(key).await, near: self.inspect_local(key) }
    }

    async fn inspect_redis<T: Cached>(&self, key: &Key<T>) -> Result<CacheState<T>, RedisError> {
        let (bytes, tag): RawCopy =
            self.store.run(self.get_command(key), &Trace::disabled()).await?;
        if self.store.is_deferred(key) {
            return Err(RedisError::Outdated);
        }
        Ok(match bytes {
            Some(bytes) => self.interpret(key, &bytes, tag.unwrap_or_default()),
            None => CacheState::Nothing,
        })
    }

    fn interpret<T: Cached>(&self, key: &Key<T>, bytes: &[u8], tag: u64) -> CacheState<T> {
        let (value, meta) = match entry::decode(bytes, key) {
            Ok(Content::Value(value, meta)) => (Some(value), meta),
            Ok(Content::Absent(meta)) => (None, meta),
            Ok(Content::Pending(it)) => {
                return CacheState::Pending { value: it.value, version: it.version };
            }
            Ok(Content::Tombstone { version, .. }) => return CacheState::Tombstone(version),
            Err(_) => return CacheState::Corrupt,
        };
        let version = value.as_ref().map_or(0, |it| it.version);
        match self.check_freshness(value.as_ref(), meta, bytes.len()) {
            Probe::Fresh(copy) if meta.tag == tag => {
                let left = copy.left.unwrap_or_default();
                CacheState::from_copy(copy, left)
            }
            _ => CacheState::Expired(version),
        }
    }

    fn inspect_local<T: Cached>(&self, key: &Key<T>) -> Option<CacheState<T>> {
        let (near, name) = (&self.engine.near, key.as_str());
        let nothing = near.is_tracking().then_some(CacheState::Nothing);
        let Some(copy) = near.get(name, self.store.is_unavailable()) else { return nothing };
        Some(CacheState::from_copy(copy, near.left(name)))
    }
}
