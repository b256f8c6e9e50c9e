//! Cache-aside: look in Redis, else load from the origin and remember it.
//!
//! One verb, [`Cache::fetch`], is the whole of it. What happened comes back
//! as a [`Lookup`]. A cache that fails is a miss: the only error a caller can
//! meet is the origin's own. An older value never replaces a newer one: see
//! [`entry`].

mod entry;
mod lookup;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use self::entry::Content;
pub use self::lookup::{Fill, Lookup};
use crate::{
    clock::{micros, millis},
    keys::{Cached, Key},
    metrics::Metrics,
    model::{Source, Versioned},
    store::{Command, Store, Trouble, typed},
    wire::Wire,
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

/// How long the mark of a forgotten version stays: longer than any reader may
/// take from its SELECT to its fill, a Redis that was frozen in between included.
const MARK_TTL: Duration = Duration::from_secs(60);

/// What a look into Redis found.
enum Look<T> {
    /// A value, or the mark of absence, with its remaining TTL.
    Hit(Option<Versioned<T>>, Option<Duration>),
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
        load: impl AsyncFnOnce() -> Result<Option<Versioned<T>>, E>,
    ) -> Result<Lookup<T>, E> {
        let start = Instant::now();
        let missed = match plan.bypass {
            true => None,
            false => match self.look(key, wire).await {
                Look::Hit(value, ttl) => {
                    let hit = self.lookup(key, value, Source::Cache, ttl, Fill::Unneeded);
                    return Ok(self.told(key, hit, start));
                }
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
        Ok(self.told(key, self.lookup(key, value, Source::Database, ttl, fill), start))
    }

    /// Fills the cache with these values in one round trip. Each TTL is spread
    /// by a tenth, so that what was filled together does not expire together.
    pub async fn put_all<T: Cached>(
        &self,
        values: &[Versioned<T>],
        ttl: Duration,
    ) -> Result<(), Trouble> {
        let set = |value: &Versioned<T>| {
            let spread = rand::random_range(0.9..=1.1);
            self.set(&value.value.key(), Some(value), ttl.mul_f64(spread))
        };
        self.store.run_many(values.iter().map(set).collect()).await
    }

    /// Makes the next lookup ask the origin.
    pub async fn forget<T>(&self, key: &Key<T>, wire: &Wire) -> Result<bool, Trouble> {
        self.store.run(self.forgetting(key, None), wire).await
    }

    /// Drops the copy under `key` unless it is of `version` or newer, and from
    /// now on stores nothing older. When Redis can't be told, the copy is not
    /// used until it is. Without a version whatever is there is dropped.
    pub async fn supersede<T>(
        &self,
        key: &Key<T>,
        version: Option<u64>,
        wire: &Wire,
    ) -> Result<bool, Trouble> {
        self.store.settle(key, self.forgetting(key, version), wire).await
    }

    /// The same, as soon as Redis can be told; until then the copy is not used.
    pub fn supersede_later<T>(&self, key: &Key<T>, version: u64) {
        self.store.owe_later(key, self.forgetting(key, Some(version)));
    }

    fn forgetting<T>(&self, key: &Key<T>, version: Option<u64>) -> Command {
        let version = version.map_or(-1, u64::cast_signed);
        self.store.removing_script(entry::FORGET, key).arg(version).arg(millis(MARK_TTL))
    }

    fn set<T: Cached>(&self, key: &Key<T>, value: Option<&Versioned<T>>, ttl: Duration) -> Command {
        let version = value.map_or(0, |it| it.version);
        self.store
            .script(entry::FILL, key)
            .arg(version)
            .arg(entry::encode(value))
            .arg(millis(ttl).max(1))
    }

    fn lookup<T>(
        &self,
        key: &Key<T>,
        value: Option<Versioned<T>>,
        source: Source,
        ttl: Option<Duration>,
        fill: Fill,
    ) -> Lookup<T> {
        let (version, key) = (value.as_ref().map(|it| it.version), self.store.name(key));
        Lookup { value: value.map(|it| it.value), version, source, key, ttl, fill, elapsed_us: 0 }
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
            return Look::Miss(Miss::Trouble(Trouble::Outdated));
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
        let left = left.map(Duration::from_millis);
        match entry::decode(&bytes, key) {
            // The copy was taken back while the question was on its way.
            Ok(_) if self.store.owes(key) => Look::Miss(Miss::Trouble(Trouble::Outdated)),
            Ok(Content::Value(value)) => Look::Hit(Some(value), left),
            Ok(Content::Absent) => Look::Hit(None, left),
            Ok(Content::Gone) => Look::Miss(Miss::Empty),
            Err(what) => Look::Miss(Miss::Garbage(what)),
        }
    }

    async fn fill<T: Cached>(
        &self,
        key: &Key<T>,
        value: Option<&Versioned<T>>,
        plan: Plan,
        miss: Miss,
        wire: &Wire,
    ) -> Fill {
        let ttl = if value.is_some() { plan.ttl } else { plan.absent_ttl };
        let set = self.set(key, value, ttl);
        let stored: Result<bool, Trouble> = match miss {
            // Redis failed a moment ago: the visitor shall not wait for it twice.
            Miss::Trouble(trouble) if !trouble.is_refused_write() => Err(trouble),
            Miss::Garbage(what) => self.replace(key, set, what, wire).await,
            _ => self.store.run(set, wire).await,
        };
        match stored {
            Ok(true) => Fill::Stored(ttl),
            Ok(false) => Fill::Superseded,
            Err(trouble) => Fill::Failed(trouble),
        }
    }

    /// Puts a value where garbage is, whatever that looks like to the script.
    async fn replace<T>(
        &self,
        key: &Key<T>,
        set: Command,
        what: &'static str,
        wire: &Wire,
    ) -> Result<bool, Trouble> {
        let [_, stored] = self.store.run_all([self.store.remove("UNLINK", key), set], wire).await?;
        let stored = stored.and_then(typed)?;
        log::warn!("{} held {what}; it is overwritten", self.store.name(key));
        Ok(stored)
    }
}
