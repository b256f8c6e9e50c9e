//! A copy of a value, as it was found: in Redis, in the near cache, or kept for
//! when the origin fails.

use std::{sync::Arc, time::Duration};

use crate::Source;

/// A copy, as found.
#[derive(Debug)]
pub struct CachedCopy<T> {
    /// `None` is the knowledge that there is no such value.
    pub value: Option<Arc<T>>,
    /// 0 where there is no value.
    pub version: u64,
    /// When it was loaded, in milliseconds since 1970 by Redis's clock.
    pub created_at: u64,
    /// Since then.
    pub age: Duration,
    /// How long it stays fresh; `None` when that has no end, as for a value
    /// that the origin does not have yet.
    pub left: Option<Duration>,
    /// How long ago its TTL ended.
    pub stale_for: Duration,
    /// How long the load took.
    pub load_duration: Duration,
    /// The generation of its tag.
    pub tag: u64,
    /// Its size in Redis.
    pub bytes: usize,
    /// Who had it.
    pub source: Source,
}

impl<T> Clone for CachedCopy<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), ..*self }
    }
}

impl<T> Default for CachedCopy<T> {
    fn default() -> Self {
        let [age, stale_for, load_duration] = [Duration::ZERO; 3];
        let (version, created_at, tag, bytes, source) = (0, 0, 0, 0, Source::Cache);
        Self {
            value: None,
            version,
            created_at,
            age,
            left: None,
            stale_for,
            load_duration,
            tag,
            bytes,
            source,
        }
    }
}

impl<T> CachedCopy<T> {
    /// The same, so much later.
    pub fn aged_by(&self, time: Duration) -> Self {
        let left = self.left.map(|left| left.saturating_sub(time));
        let expired = self.left.map_or(Duration::ZERO, |left| time.saturating_sub(left));
        Self { age: self.age + time, left, stale_for: self.stale_for + expired, ..self.clone() }
    }
}
