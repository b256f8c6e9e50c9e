//! A bounded map of copies of any type.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use moka::sync::Cache as Moka;

use crate::local::cached_copy::CachedCopy;

/// Overhead of a copy besides its value and name, in bytes.
const OVERHEAD: usize = 128;

/// The copies; when full, the least used are evicted.
pub struct LocalEntries(Moka<String, LocalEntry>);

/// One copy. The type of its value follows from its name.
#[derive(Clone)]
struct LocalEntry {
    copy: Arc<dyn Any + Send + Sync>,
    since: Instant,
    until: Instant,
    weight: u32,
}

impl LocalEntries {
    /// An empty map for copies of this total size, in bytes as stored in Redis. In memory
    /// they take two to three times as much.
    pub fn new(capacity: u64) -> Self {
        let entries =
            Moka::builder().max_capacity(capacity).weigher(|_, entry: &LocalEntry| entry.weight);
        Self(entries.build())
    }

    /// The copy under `name`, with its age as of now.
    pub fn get<T: Send + Sync + 'static>(&self, name: &str) -> Option<CachedCopy<T>> {
        let now = Instant::now();
        let entry = self.0.get(name).filter(|entry| now < entry.until)?;
        let copy = entry.copy.downcast_ref::<CachedCopy<T>>()?;
        Some(copy.aged_by(now.saturating_duration_since(entry.since)))
    }

    /// How much longer the copy under `name` is kept.
    pub fn left(&self, name: &str) -> Duration {
        let until = self.0.get(name).map(|entry| entry.until);
        until.map_or(Duration::ZERO, |it| it.saturating_duration_since(Instant::now()))
    }

    /// Adds a copy for this time.
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

    /// Drops all copies.
    pub fn clear(&self) {
        self.0.invalidate_all();
    }

    /// The approximate number of copies.
    pub fn len(&self) -> u64 {
        self.0.entry_count()
    }
}
