//! A copy of a value, as found in Redis, in the near cache, or among the stale
//! copies.

use std::{sync::Arc, time::Duration};

use crate::{Source, entry::EntryTags};

/// A copy of a value, or of the knowledge that there is none.
#[derive(Debug)]
pub struct CachedCopy<T> {
    /// `None` if the origin has no such value.
    pub value: Option<Arc<T>>,
    /// 0 if there is no value.
    pub version: u64,
    /// When it was loaded, in milliseconds since 1970 by Redis's clock.
    pub created_at: u64,
    /// When its load began, in microseconds since 1970 by Redis's clock, or earlier.
    pub loaded_since: u64,
    /// Time since then.
    pub age: Duration,
    /// How much longer it is fresh; `None` for a pending value, which does not
    /// expire.
    pub left: Option<Duration>,
    /// How long ago its TTL expired; zero while it is fresh.
    pub stale_for: Duration,
    /// How long the load took.
    pub load_duration: Duration,
    /// The generation of its namespace's tag.
    pub tag: u64,
    /// Its other tags.
    pub tags: EntryTags,
    /// Its size in Redis, in bytes.
    pub bytes: usize,
    /// Where it was found.
    pub source: Source,
}

impl<T> Clone for CachedCopy<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), tags: EntryTags::clone(&self.tags), ..*self }
    }
}

impl<T> Default for CachedCopy<T> {
    fn default() -> Self {
        let [age, stale_for, load_duration] = [Duration::ZERO; 3];
        let (version, created_at, loaded_since, tag, bytes) = (0, 0, 0, 0, 0);
        Self {
            value: None,
            version,
            created_at,
            loaded_since,
            age,
            left: None,
            stale_for,
            load_duration,
            tag,
            tags: EntryTags::default(),
            bytes,
            source: Source::Cache,
        }
    }
}

impl<T> CachedCopy<T> {
    /// The copy as it is `time` later.
    pub fn aged_by(&self, time: Duration) -> Self {
        let left = self.left.map(|left| left.saturating_sub(time));
        let expired = self.left.map_or(Duration::ZERO, |left| time.saturating_sub(left));
        Self { age: self.age + time, left, stale_for: self.stale_for + expired, ..self.clone() }
    }
}
