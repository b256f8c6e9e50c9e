//! The outcome of a load, shared by all callers that waited for it.

use std::{sync::Arc, time::Duration};

use crate::{Source, entry::EntryTags, fetch::lookup::Fill};

/// The outcome of a successful load.
#[derive(Debug)]
pub struct LoadOutcome<T> {
    /// `None` if the origin has no such value.
    pub value: Option<Arc<T>>,
    /// 0 if there is no value.
    pub version: u64,
    /// When the load began, in microseconds since 1970 by Redis's clock, or earlier.
    pub since: u64,
    /// The generation of the namespace's tag when it began.
    pub tag: Option<u64>,
    /// The other tags of the value; `None` if one was invalidated since the load began.
    pub tags: Option<EntryTags>,
    /// The origin, or the cache if another process was faster.
    pub source: Source,
    /// How the load changed the cache.
    pub fill: Fill,
    /// How long the cached copy is fresh.
    pub ttl: Option<Duration>,
    /// Time since the value was loaded.
    pub age: Duration,
}

impl<T> Clone for LoadOutcome<T> {
    fn clone(&self) -> Self {
        let (value, tags, fill) = (self.value.clone(), self.tags.clone(), self.fill.clone());
        Self { value, tags, fill, ..*self }
    }
}
