//! Copies of values in this process, whatever their types: a bounded map.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache as Moka;

use crate::local::cached_copy::CachedCopy;

/// Bytes of all copies together, as they lie in Redis. In memory they take
/// some two to three times as much.
const CAPACITY: u64 = 16 * 1024 * 1024;
/// What a copy costs beside its value and name, in bytes.
const OVERHEAD: usize = 128;

/// The copies, the most used of them when there is no room for all.
pub struct LocalEntries(Moka<String, LocalEntry>);

/// One copy; the type of its value is known by its name.
#[derive(Clone)]
struct LocalEntry {
    copy: Arc<dyn Any + Send + Sync>,
    since: Instant,
    until: Instant,
    weight: u32,
}

impl Default for LocalEntries {
    fn default() -> Self {
        let entries =
            Moka::builder().max_capacity(CAPACITY).weigher(|_, entry: &LocalEntry| entry.weight);
        Self(entries.build())
    }
}

impl LocalEntries {
    /// The copy under `name` as it is by now, if it is still kept.
    pub fn get<T: Send + Sync + 'static>(&self, name: &str) -> Option<CachedCopy<T>> {
        let now = Instant::now();
        let entry = self.0.get(name).filter(|entry| now < entry.until)?;
        let copy = entry.copy.downcast_ref::<CachedCopy<T>>()?;
        Some(copy.aged_by(now.saturating_duration_since(entry.since)))
    }

    /// How long the copy under `name` is still kept.
    pub fn left(&self, name: &str) -> Duration {
        let until = self.0.get(name).map(|entry| entry.until);
        until.map_or(Duration::ZERO, |it| it.saturating_duration_since(Instant::now()))
    }

    /// Keeps a copy for so long.
    pub fn insert<T: Send + Sync + 'static>(
        &self,
        name: &str,
        copy: CachedCopy<T>,
        time: Duration,
    ) {
        let since = Instant::now();
        let until = since.checked_add(time).unwrap_or(since);
        let weight = u32::try_from(copy.bytes + name.len() + OVERHEAD).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), LocalEntry { copy: Arc::new(copy), since, until, weight });
    }

    /// Drops the copy under `name`.
    pub fn remove(&self, name: &str) {
        self.0.invalidate(name);
    }

    /// Drops all.
    pub fn clear(&self) {
        self.0.invalidate_all();
    }

    /// About how many there are.
    pub fn len(&self) -> u64 {
        self.0.entry_count()
    }
}
