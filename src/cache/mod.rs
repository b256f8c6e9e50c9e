//! Cache-aside: look in Redis, else load from the origin and remember it.
//!
//! One verb, [`Cache::fetch`], is the whole of it. What happened comes back
//! as a [`Lookup`]. A cache that fails is a miss: the only error a caller can
//! meet is the origin's own.

mod entry;
mod lookup;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::lookup::{Fill, Lookup};
use crate::{
    keys::{Cached, Key},
    metrics::Metrics,
    model::Source,
    store::{Store, Trouble, typed},
    wire::{Wire, micros},
};

/// How one lookup shall treat the cache.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How long a value is kept.
    pub ttl: Duration,
    /// How long the absence of a value is kept: short, because nobody
    /// invalidates it when the value appears.
    pub absent_ttl: Duration,
    /// Neither read nor fill: ask the origin alone.
    pub bypass: bool,
}

/// The cache of one worker.
#[derive(Clone)]
pub struct Cache {
    store: Store,
    metrics: Arc<Metrics>,
}

/// What a look into Redis found.
enum Look<T> {
    /// A value, or the mark of absence, with its remaining TTL.
    Hit(Option<T>, Option<Duration>),
    /// Nothing, or nothing usable.
    Miss(Miss),
}

/// Why there was nothing usable.
enum Miss {
    Empty,
    /// Something that is no such value: overwritten by the fill, told once.
    Garbage(&'static str),
    Trouble(Trouble),
}

impl Cache {
    /// A cache on this connection.
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Returns the value under `key`, calling `load` only when Redis has none.
    pub async fn fetch<T: Cached, E>(
        &self,
        key: &Key<T>,
        plan: Plan,
        wire: &Wire,
        load: impl AsyncFnOnce() -> Result<Option<T>, E>,
    ) -> Result<Lookup<T>, E> {
        let start = Instant::now();
        let missed = match plan.bypass {
            true => None,
            false => match self.look(key, wire).await {
                Look::Hit(value, ttl) => return Ok(self.hit(key, value, ttl, start)),
                Look::Miss(miss) => Some(miss),
            },
        };
        self.metrics.loaded(key.family().name());
        let value = load().await?;
        let fill = match missed {
            None => Fill::Bypassed,
            Some(miss) => self.fill(key, value.as_ref(), plan, miss, wire).await,
        };
        let ttl = fill.ttl();
        Ok(self.told(
            key,
            Lookup::new(value, Source::Database, self.store.name(key), ttl, fill),
            start,
        ))
    }

    /// Fills the cache with these values in one round trip. Each TTL is spread
    /// by a tenth, so that what was filled together does not expire together.
    pub async fn put_all<T: Cached>(&self, values: &[T], ttl: Duration) -> Result<(), Trouble> {
        let set = |value: &T| {
            let spread = rand::random_range(0.9..=1.1);
            let ms = (ttl.mul_f64(spread).as_millis() as u64).max(1);
            self.store.write("SET", &value.key()).arg(entry::encode(Some(value))).arg("PX").arg(ms)
        };
        self.store.run_many(values.iter().map(set).collect()).await
    }

    /// Makes the next lookup ask the origin. Fine to call for a key that is not there.
    pub async fn forget<T>(&self, key: &Key<T>, wire: &Wire) -> Result<bool, Trouble> {
        self.store.forget(key, wire).await
    }

    fn hit<T>(
        &self,
        key: &Key<T>,
        value: Option<T>,
        ttl: Option<Duration>,
        start: Instant,
    ) -> Lookup<T> {
        let name = self.store.name(key);
        self.told(key, Lookup::new(value, Source::Cache, name, ttl, Fill::Unneeded), start)
    }

    fn told<T>(&self, key: &Key<T>, mut lookup: Lookup<T>, start: Instant) -> Lookup<T> {
        lookup.elapsed_us = micros(start.elapsed());
        let bypassed = lookup.fill == Fill::Bypassed;
        self.metrics.looked_up(key.family().name(), lookup.source, bypassed, start.elapsed());
        lookup
    }

    /// Value and remaining TTL in one round trip.
    async fn look<T: Cached>(&self, key: &Key<T>, wire: &Wire) -> Look<T> {
        if self.store.owes(key) {
            return Look::Miss(Miss::Trouble(Trouble::Away));
        }
        let asked = [self.store.read("GET", key), self.store.read("PTTL", key)];
        let [value, ttl] = match self.store.run_all(asked, wire).await {
            Ok(replies) => replies,
            Err(trouble) => return Look::Miss(Miss::Trouble(trouble)),
        };
        let bytes = match value.and_then(typed::<Option<Vec<u8>>>) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Look::Miss(Miss::Empty),
            Err(Trouble::WrongType) => return Look::Miss(Miss::Garbage("another type of value")),
            Err(trouble) => return Look::Miss(Miss::Trouble(trouble)),
        };
        let left = ttl.and_then(typed::<i64>).ok().and_then(|ms| u64::try_from(ms).ok());
        match entry::decode(&bytes, key) {
            Ok(value) => Look::Hit(value, left.map(Duration::from_millis)),
            Err(what) => Look::Miss(Miss::Garbage(what)),
        }
    }

    async fn fill<T: Cached>(
        &self,
        key: &Key<T>,
        value: Option<&T>,
        plan: Plan,
        miss: Miss,
        wire: &Wire,
    ) -> Fill {
        // Redis failed a moment ago: the visitor shall not wait for it twice.
        if let Miss::Trouble(trouble) = &miss
            && !trouble.is_refused_write()
        {
            return Fill::Failed(trouble.clone());
        }
        let ttl = if value.is_some() { plan.ttl } else { plan.absent_ttl };
        let set = self.store.write("SET", key).arg(entry::encode(value));
        let set = set.arg("PX").arg(ttl.as_millis().max(1) as u64);
        match self.store.run::<()>(set, wire).await {
            Ok(()) => {
                if let Miss::Garbage(what) = miss {
                    log::warn!("{} held {what}; it is overwritten", self.store.name(key));
                }
                Fill::Stored(ttl)
            }
            Err(trouble) => Fill::Failed(trouble),
        }
    }
}
