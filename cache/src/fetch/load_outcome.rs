//! The outcome of a load, shared by all callers that waited for it.

use std::{sync::Arc, time::Duration};

use crate::{Source, fetch::lookup::Fill};

/// The outcome of a successful load.
#[derive(Debug)]
pub struct LoadOutcome<T> {
    /// `None` if the origin has no such value.
    pub value: Option<Arc<T>>,
    /// 0 if there is no value.
    pub version: u64,
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
        let Self { version, source, ttl, age, .. } = *self;
        Self { value: self.value.clone(), fill: self.fill.clone(), version, source, ttl, age }
    }
}
