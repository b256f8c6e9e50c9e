//! Inspection: a read-only view of what is cached under a key. Counts, fills and
//! drops nothing, and does not appear in any trace.

use std::{sync::Arc, time::Duration};

use crate::{
    Codec, KeyPart, Namespace, Versioned,
    entry::{self, Content, EntryTags},
    fetch::probe::{Probe, RawCopy},
    local::cached_copy::CachedCopy,
    redis::{Key, RedisError},
    trace::Trace,
};

/// The cached state of one key.
#[derive(Debug, Clone)]
pub struct Inspection<T> {
    /// The state in Redis, or why it is unknown.
    pub redis: Result<CacheState<T>, RedisError>,
    /// The state in the near cache; `None` while invalidation pushes don't arrive,
    /// when it holds nothing.
    pub near: Option<CacheState<T>>,
}

/// The state of a key in one cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheState<T> {
    /// No entry.
    Nothing,
    /// A fresh copy.
    Copy {
        /// The value.
        value: Arc<T>,
        /// Its version.
        version: u64,
        /// Time since it was loaded from the origin.
        age: Duration,
        /// How much longer it will be served from here.
        left: Duration,
    },
    /// A write-behind value that the origin does not have yet.
    Pending {
        /// The value.
        value: Arc<T>,
        /// Its version.
        version: u64,
    },
    /// A negative entry, and how much longer it is valid.
    Absent(Duration),
    /// A tombstone: copies up to this version were invalidated.
    Tombstone(u64),
    /// A copy of this version that is no longer served: its TTL expired, or its tag
    /// has a new generation.
    Expired(u64),
    /// Data that this namespace did not write.
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

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Returns the cached state of an id. Costs one read in Redis, which counts in
    /// its keyspace statistics.
    pub async fn inspect(&self, id: impl KeyPart) -> Inspection<T> {
        let (key, untraced) = (self.key(&id), self.clone().traced(&Trace::disabled()));
        Inspection { redis: untraced.inspect_redis(&key).await, near: self.inspect_local(&key) }
    }

    /// Decodes an entry as it is stored in Redis under this id, fresh or not; `None` for a
    /// tombstone or a negative entry. For tools that look at entries.
    ///
    /// # Errors
    /// Returns a description of the bytes if they are not an entry of this id.
    pub fn decode(
        &self,
        id: impl KeyPart,
        bytes: &[u8],
    ) -> Result<Option<Versioned<Arc<T>>>, &'static str> {
        let key = self.key(&id);
        entry::decode(&self.codec, bytes, key.as_str()).map(|content| match content {
            Content::Value(value, _) | Content::Pending(value) => Some(value),
            Content::Absent(_) | Content::Tombstone { .. } => None,
        })
    }

    async fn inspect_redis(&self, key: &Key<T>) -> Result<CacheState<T>, RedisError> {
        let (bytes, tag): RawCopy = self.client().run(self.get_command(key), &self.trace).await?;
        if self.is_deferred(key) {
            return Err(RedisError::Outdated);
        }
        let Some(bytes) = bytes else { return Ok(CacheState::Nothing) };
        let (state, tags) = self.interpret(key, &bytes, tag);
        Ok(match state {
            CacheState::Copy { version, .. } if !self.are_current(&tags).await? => {
                CacheState::Expired(version)
            }
            state => state,
        })
    }

    /// The state of an entry whose tags are current, and these tags.
    fn interpret(
        &self,
        key: &Key<T>,
        bytes: &[u8],
        tag: Option<u64>,
    ) -> (CacheState<T>, EntryTags) {
        let untagged = |state| (state, EntryTags::default());
        let (value, meta) = match entry::decode(&self.codec, bytes, key.as_str()) {
            Ok(Content::Value(value, meta)) => (Some(value), meta),
            Ok(Content::Absent(meta)) => (None, meta),
            Ok(Content::Pending(it)) => {
                return untagged(CacheState::Pending { value: it.value, version: it.version });
            }
            Ok(Content::Tombstone { version, .. }) => {
                return untagged(CacheState::Tombstone(version));
            }
            Err(_) => return untagged(CacheState::Corrupt),
        };
        let version = value.as_ref().map_or(0, |it| it.version);
        match self.check_freshness(value.as_ref(), &meta, bytes.len()) {
            Probe::Fresh(copy) if Some(meta.tag) == tag => {
                let (left, tags) = (copy.left.unwrap_or_default(), copy.tags.clone());
                (CacheState::from_copy(copy, left), tags)
            }
            _ => untagged(CacheState::Expired(version)),
        }
    }

    fn inspect_local(&self, key: &Key<T>) -> Option<CacheState<T>> {
        let (near, name) = (&self.shared().near, key.as_str());
        let nothing = near.is_tracking().then_some(CacheState::Nothing);
        let Some(copy) = near.get(name, self.client().is_unavailable()) else { return nothing };
        Some(CacheState::from_copy(copy, near.left(name)))
    }
}
