//! The answer of a load, as all who wait for it get it.

use std::{sync::Arc, time::Duration};

use crate::{Source, fetch::lookup::Fill};

/// What a load brought.
#[derive(Debug)]
pub struct LoadOutcome<T> {
    /// `None` where there is no such value.
    pub value: Option<Arc<T>>,
    /// 0 where there is no value.
    pub version: u64,
    /// The origin, or the cache when another process was first.
    pub source: Source,
    /// What became of it in the cache.
    pub fill: Fill,
    /// How long it stays fresh there.
    pub ttl: Option<Duration>,
    /// Since it was loaded.
    pub age: Duration,
}

impl<T> Clone for LoadOutcome<T> {
    fn clone(&self) -> Self {
        let Self { version, source, ttl, age, .. } = *self;
        Self { value: self.value.clone(), fill: self.fill.clone(), version, source, ttl, age }
    }
}
