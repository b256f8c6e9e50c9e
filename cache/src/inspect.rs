//! Peeking: what the caches hold of one key, seen without using it. Nothing is
//! counted, filled or dropped, and nothing is told on an act's wire.

use std::{sync::Arc, time::Duration};

use crate::{
    Cache, Cached, Key,
    entry::{self, Content},
    fetch::probe::{Copied, Look},
    local::cached_copy::CachedCopy,
    redis::Trouble,
    trace::Wire,
};

/// What the caches hold of one key.
#[derive(Debug, Clone)]
pub struct Peek<T> {
    /// In Redis, if it could say.
    pub redis: Result<Holding<T>, Trouble>,
    /// In this process; `None` while Redis does not tell it of changes, for
    /// then it keeps nothing.
    pub near: Option<Holding<T>>,
}

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding<T> {
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
    Waiting {
        /// The value.
        value: Arc<T>,
        /// Its version.
        version: u64,
    },
    /// The knowledge that the origin has none, for so long.
    Absent(Duration),
    /// A mark that copies below this version were dropped.
    Gone(u64),
    /// A copy of this version that is served no more: its TTL ended, or its
    /// tag moved on.
    Over(u64),
    /// What was not written by hitrate.
    Garbage,
}

impl<T> Holding<T> {
    fn held(held: CachedCopy<T>, left: Duration) -> Self {
        let CachedCopy { version, age, .. } = held;
        match held.value {
            Some(value) => Self::Copy { value, version, age, left },
            None => Self::Absent(left),
        }
    }
}

impl Cache {
    /// What the caches hold of `key` at the moment. One read of Redis, which
    /// counts it as it counts any client's.
    pub async fn peek<T: Cached>(&self, key: &Key<T>) -> Peek<T> {
        Peek { redis: self.peek_in_redis(key).await, near: self.peek_nearby(key) }
    }

    async fn peek_in_redis<T: Cached>(&self, key: &Key<T>) -> Result<Holding<T>, Trouble> {
        let (bytes, tag): Copied = self.store.run(self.getting(key), &Wire::off()).await?;
        if self.store.owes(key) {
            return Err(Trouble::Outdated);
        }
        Ok(match bytes {
            Some(bytes) => self.holding(key, &bytes, tag.unwrap_or_default()),
            None => Holding::Nothing,
        })
    }

    fn holding<T: Cached>(&self, key: &Key<T>, bytes: &[u8], tag: u64) -> Holding<T> {
        let (value, made) = match entry::decode(bytes, key) {
            Ok(Content::Value(value, made)) => (Some(value), made),
            Ok(Content::Absent(made)) => (None, made),
            Ok(Content::Pending(it)) => {
                return Holding::Waiting { value: it.value, version: it.version };
            }
            Ok(Content::Gone(version, _)) => return Holding::Gone(version),
            Err(_) => return Holding::Garbage,
        };
        let version = value.as_ref().map_or(0, |it| it.version);
        match self.dated(value.as_ref(), made, bytes.len()) {
            Look::Fresh(held) if made.tag == tag => {
                let left = held.left.unwrap_or_default();
                Holding::held(held, left)
            }
            _ => Holding::Over(version),
        }
    }

    fn peek_nearby<T: Cached>(&self, key: &Key<T>) -> Option<Holding<T>> {
        let (near, name) = (&self.engine.near, key.as_str());
        let nothing = near.is_tracking().then_some(Holding::Nothing);
        let Some(held) = near.get(name, self.store.is_away()) else { return nothing };
        Some(Holding::held(held, near.left(name)))
    }
}
