//! A cache layer over Redis, in front of a slow origin.
//!
//! Three verbs are the whole of it: [`Cache::fetch`] reads, [`Cache::write`]
//! writes, [`Cache::forget`] (and its siblings by tag and by pattern) drops.
//! How is a value, the [`Recipe`]: a strategy and its protections. What
//! happened comes back as plain data, the [`Lookup`] or [`Written`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use hitrate_cache::{
//!     Cache, Cached, Engine, Key, Namespace, Recipe, Versioned,
//!     redis::{Address, Health, Store},
//!     trace::Wire,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! const USER: Namespace = Namespace::new("user");
//!
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     id: String,
//!     name: String,
//! }
//!
//! impl Cached for User {
//!     fn key(&self) -> Key<Self> {
//!         Key::of(USER, &self.id)
//!     }
//! }
//! # #[derive(Debug, thiserror::Error)] #[error("the origin failed")] struct Down;
//! # impl hitrate_cache::Fault for Down {}
//! # async fn load_user(id: &str) -> Result<Option<Versioned<User>>, Down> { Err(Down) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let address = Address::parse("redis://127.0.0.1:6379")?;
//! let store = Store::open(&address, "app:", &Arc::new(Health::default()));
//! let cache = Cache::new(store, Arc::new(Engine::new("app:", &[USER], Arc::new(()))));
//!
//! let key = Key::of(USER, "123");
//! let found = cache.fetch(&key, &Recipe::DEFAULT, &Wire::off(), || load_user("123")).await?;
//! println!("{:?} from {:?}, {} µs", found.value.is_some(), found.source, found.elapsed_us);
//! # Ok(()) }
//! ```
//!
//! What always holds, whatever the recipe (`plain` excepted, which is there to
//! see what happens without):
//!
//! - A cache that fails is a miss. The only error is the origin's ([`Failure`]).
//! - An older value never replaces a newer one: entries carry versions, and a
//!   fill compares them inside a script ([`scripts`]).
//! - After a write was acknowledged, nobody in this process reads the older
//!   value; nobody in any process once Redis was told, which is before the
//!   acknowledgement unless Redis can't be reached. A near cache learns of
//!   another process's write by a push, a moment later.
//! - Every wait has a deadline, every queue a bound.
//!
//! Where an older value may be read after a newer one was acknowledged, and for
//! how long:
//!
//! | when | by whom | how long |
//! |---|---|---|
//! | recipe `plain` | everyone | until the TTL ends, if a slow reader stored it |
//! | an edit while Redis can't be told | other processes | until it is told: within 2 s of its return |
//! | recipe `near`, an edit in another process | this process | until Redis's push arrives; a second if the connection for pushes is frozen |
//! | recipe `near`, Redis away | other processes | 5 s, marked `stale` |
//! | recipe `write-behind` | readers of the database itself, or without Redis | until it is flushed: the interval plus what hinders it |
//! | Redis away and the origin failing | other processes | the grace, marked `stale` |
//!
//! Known limits:
//!
//! - An acknowledged write-behind is lost if Redis then loses its memory: at most
//!   the last second with `appendfsync everysec`, nothing with `always`, everything
//!   that was not flushed without an append-only file.
//! - Stamps take Redis's clock from its last answer, right to half a round trip.
//! - An invalidation by pattern sees only what is there: a load of a cold key that
//!   is under way in another process stores its value all the same.
//! - Copies past their TTL are kept in the process, not in Redis, where a key ends
//!   with its TTL. What is known of an edit is kept under `edited:{key}` for as
//!   long as any process may hold such a copy.
//!
//! Where to find what: `strategy/` a file for each strategy; [`reading`] and
//! [`writing`] the steps they are made of; [`look`] finds a copy, [`load`] gets
//! a value from the origin, with [`flights`] (single-flight), [`lease`],
//! [`gate`] (bounded concurrency), [`backoff`] (retries) and [`early`] (XFetch);
//! [`near`] and [`copies`] what this process holds, [`behind`] the writes that wait,
//! [`forget`] invalidation, [`entry`] how a value lies in Redis, [`peek`] what is
//! held at the moment, for the eye only.

mod absences;
mod backoff;
pub mod behind;
mod cached_copy;
pub mod condition;
mod copies;
mod early;
mod entry;
mod failure;
mod flights;
mod forget;
mod gate;
mod keys;
mod lease;
mod load;
mod loaded;
mod look;
mod lookup;
mod memo;
mod namespace;
mod near;
mod observer;
mod origin;
mod peek;
mod reading;
mod recipe;
pub mod redis;
#[cfg(test)]
mod sample;
mod scripts;
#[doc(hidden)]
pub mod slots;
mod strategy;
pub mod time;
pub mod trace;
mod value;
mod writing;

use std::{
    borrow::Cow,
    sync::{Arc, Once},
    time::{Duration, Instant},
};

use self::{
    absences::Absences,
    behind::{Backlog, Queue},
    copies::Copies,
    entry::Made,
    flights::Flights,
    gate::Gate,
    memo::Memo,
    near::Near,
};
pub use self::{
    entry::decode_entry,
    failure::{Failure, Fault},
    forget::{Forgot, Pattern, Sweep},
    lookup::{Fill, Forward, Lookup},
    namespace::{Cached, Key, Namespace},
    observer::{Failpoint, Observer},
    origin::{Newer, Order, Origin, Writable},
    peek::{Holding, Peek},
    recipe::{NotARecipe, Recipe},
    strategy::Strategy,
    value::{Source, Versioned},
    writing::{Effect, Written},
};
use crate::{
    redis::{Address, Command, Store, Trouble, typed},
    time::{micros, millis},
    trace::Wire,
};

/// Loads that run at the origin at once: more than it works on at a time, so
/// that simulated waiting does not keep others out.
const RUNNING: usize = 64;
/// Loads that wait for their turn.
const WAITING: usize = 256;
/// The largest entry, unless the user of the cache says otherwise: Redis serves
/// everybody else while it does not copy a larger one.
pub const MAX_ENTRY_BYTES: usize = 1024 * 1024;

/// What all caches of one process share, whatever thread they are on.
pub struct Engine {
    observer: Arc<dyn Observer>,
    namespaces: Vec<Namespace>,
    flights: Arc<Flights>,
    gate: Gate,
    near: Arc<Near>,
    /// What may still be served past its TTL.
    grace: Copies,
    absences: Absences,
    marks: Absences,
    pending: Queue,
    max_entry_bytes: usize,
    oversize: Once,
}

/// The cache of one worker.
#[derive(Clone)]
pub struct Cache {
    store: Store,
    engine: Arc<Engine>,
    memo: Arc<Memo>,
    /// Names of the tags, made once.
    tags: Arc<[(Namespace, String)]>,
}

/// What is asked for, and how.
struct Ask<'a, T> {
    key: &'a Key<T>,
    recipe: &'a Recipe,
    wire: &'a Wire,
}

impl<T> Clone for Ask<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ask<'_, T> {}

impl Engine {
    /// Nothing cached, nothing under way. `prefix` is what the store puts before
    /// every key; `namespaces` are those whose values are cached.
    pub fn new(prefix: &str, namespaces: &[Namespace], observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            namespaces: namespaces.to_vec(),
            flights: Arc::default(),
            gate: Gate::new(RUNNING, WAITING),
            near: Arc::new(Near::new(prefix)),
            grace: Copies::default(),
            absences: Absences::default(),
            marks: Absences::default(),
            pending: Queue::default(),
            max_entry_bytes: MAX_ENTRY_BYTES,
            oversize: Once::new(),
        }
    }

    /// The same with another bound on entries, in bytes, header included. A
    /// larger one is neither stored nor read, but counted.
    pub fn with_max_entry_bytes(self, max_entry_bytes: usize) -> Self {
        Self { max_entry_bytes, ..self }
    }

    /// Whether an entry may be stored. Counts one that may not; the log has
    /// only the first, as the same value is loaded again and again.
    fn admit_entry(&self, namespace: Namespace, bytes: usize) -> bool {
        let fits = bytes <= self.max_entry_bytes;
        if !fits {
            let (namespace, max) = (namespace.name(), self.max_entry_bytes);
            self.observer.entry_rejected(namespace);
            self.oversize.call_once(|| {
                log::warn!(
                    "a {namespace} of {bytes} bytes is not cached: an entry may have {max}. \
                     Later ones are only counted"
                );
            });
        }
        fits
    }

    /// Lets Redis tell the near cache what changes, from now on. Without it the
    /// near cache keeps nothing. Runs on the calling runtime.
    pub fn track(&self, address: &Address, prefix: &str) {
        let tracked = self.namespaces.iter().chain([&keys::TAG]);
        let prefixes = tracked.map(|namespace| format!("{prefix}{}:", namespace.name()));
        redis::track(address, prefixes.collect(), &self.near);
    }

    /// How many loads wait for their turn, and the most that ever did.
    pub fn queued(&self) -> (usize, usize) {
        (self.gate.waiting(), self.gate.most_waiting())
    }

    /// The acknowledged writes that the origin does not have, as of the last look.
    pub fn backlog(&self) -> Backlog {
        self.pending.backlog()
    }

    /// Why acknowledged writes don't get to the origin, and for how long they
    /// haven't; `None` while they do. That Redis can't be reached is no part of
    /// it: its own health says so.
    pub fn write_behind_trouble(&self) -> Option<(String, Duration)> {
        self.pending.trouble()
    }

    /// How many copies this process holds, and whether Redis tells it of changes.
    pub fn near(&self) -> (u64, bool) {
        (self.near.len(), self.near.is_tracking())
    }

    /// From now on nobody here uses what was known of `key`.
    fn outdate<T>(&self, key: &Key<T>) {
        self.outdate_name(key.as_str());
    }

    /// The same of a whole namespace.
    fn invalidate_namespace(&self, namespace: Namespace) {
        self.flights.close_all(namespace.name());
        self.near.drop_all();
        self.grace.forget_all();
    }

    fn outdate_name(&self, name: &str) {
        self.flights.close(name);
        self.near.drop_copy(name);
        // After the count went up: nobody can remember what was loaded before.
        self.grace.forget(name);
    }
}

impl Cache {
    /// A cache on this connection.
    pub fn new(store: Store, engine: Arc<Engine>) -> Self {
        let named = |namespace: &Namespace| (*namespace, store.name(&keys::tag(*namespace)));
        let tags = engine.namespaces.iter().map(named).collect();
        Self { store, engine, memo: Arc::default(), tags }
    }

    /// The acknowledged writes that the origin does not have, asked of Redis
    /// now; without it, as of the last look. O(1).
    pub async fn count_backlog(&self) -> Backlog {
        let length = |key| self.store.read("XLEN", &key);
        let lengths = [length(keys::write_behind()), length(keys::write_behind_aside())];
        if let Ok([pending, aside]) = self.store.run_all(lengths, &Wire::off()).await
            && let (Ok(pending), Ok(aside)) = (pending.and_then(typed), aside.and_then(typed))
        {
            self.engine.pending.looked(Backlog { pending, aside });
        }
        self.engine.backlog()
    }

    /// The connection it is on.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What it shares with the caches of other threads.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the value under `key`, asking `origin` when the recipe says so.
    ///
    /// # Errors
    /// Only what goes wrong at the origin, and only where no copy may be
    /// served in its place.
    #[expect(clippy::manual_async_fn, reason = "it holds the origin once, an async fn twice")]
    pub fn fetch<T: Cached, O: Origin<T>>(
        &self,
        key: &Key<T>,
        recipe: &Recipe,
        wire: &Wire,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, Failure>> + Send {
        async move {
            let start = Instant::now();
            let mut lookup = self.read(Ask { key, recipe, wire }, origin).await?;
            let took = start.elapsed();
            lookup.elapsed_us = micros(took);
            let bypassed = lookup.forward == Forward::Bypass;
            self.engine.observer.looked_up(key.namespace().name(), lookup.source, bypassed, took);
            Ok(lookup)
        }
    }

    /// Replaces the value under its key, at the origin and in the cache, in the
    /// recipe's order. Not to be dropped half done: run it in a task of its own.
    ///
    /// # Errors
    /// What goes wrong at the origin. The write may have happened all the same
    /// when it timed out; the cache then holds neither value.
    pub async fn write<T: Cached, O: Writable<T>>(
        &self,
        value: T,
        recipe: &Recipe,
        wire: &Wire,
        origin: O,
    ) -> Result<Written, Failure> {
        let key = value.key();
        let ask = Ask { key: &key, recipe, wire };
        recipe.strategy.write(self, ask, &Arc::new(value), origin).await
    }

    /// Fills the cache with these values in one round trip, each TTL varied by
    /// the recipe's jitter, so that what is filled together does not end together.
    /// Returns how many were sent: all but those that are too large.
    pub async fn put_all<T: Cached>(
        &self,
        values: &[Versioned<T>],
        recipe: &Recipe,
    ) -> Result<usize, Trouble> {
        let Some(first) = values.first() else { return Ok(0) };
        let tag = self.store.read("GET", &keys::tag(first.value.key().namespace()));
        let tag: Option<u64> = self.store.run(tag, &Wire::off()).await?;
        let (born, delta) = (self.store.now() / 1000, Duration::ZERO);
        let set = |it: &Versioned<T>| {
            let ttl = jittered(recipe.ttl, recipe.jitter, rand::random());
            let made = Made { born, ttl, delta, tag: tag.unwrap_or_default() };
            let entry = entry::encode(it.version, Some(&it.value), made);
            self.set(&it.value.key(), it.version, entry, ttl, born * 1000, recipe)
        };
        let sets: Vec<_> = values.iter().filter_map(set).collect();
        let count = sets.len();
        self.store.run_many(sets).await.map(|_| count)
    }

    /// The command that stores an entry, loaded since this moment: microseconds
    /// by Redis's clock. `None` when it is too large, which is counted.
    fn set<T>(
        &self,
        key: &Key<T>,
        version: u64,
        entry: Vec<u8>,
        ttl: Duration,
        since: u64,
        recipe: &Recipe,
    ) -> Option<Command> {
        let ttl = millis(ttl).max(1);
        let admitted = self.engine.admit_entry(key.namespace(), entry.len());
        admitted.then(|| match recipe.versioned {
            true => {
                let fill = self.store.script(scripts::FILL, key);
                fill.arg(version).arg(entry).arg(ttl).arg(since)
            }
            false => self.store.write("SET", key).arg(entry).arg("PX").arg(ttl),
        })
    }

    /// A moment that Redis's clock has surely passed, in microseconds.
    fn surely_past(&self) -> u64 {
        self.store.now().saturating_sub(micros(self.store.clock_error()))
    }

    /// The tag's whole name, made once for the namespaces that are registered.
    fn tag_name(&self, namespace: Namespace) -> Cow<'_, str> {
        match self.tags.iter().find(|(it, _)| *it == namespace) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(self.store.name(&keys::tag(namespace))),
        }
    }
}

/// A TTL, varied by at most `jitter` of it, up or down; `u` is drawn from 0 to 1.
fn jittered(ttl: Duration, jitter: f64, u: f64) -> Duration {
    ttl.mul_f64((1.0 + jitter * (2.0 * u - 1.0)).max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_jittered_ttl_stays_within_its_share(
            ttl_ms in 1..30 * 86_400_000_u64,
            jitter in 0.0..1.0_f64,
            u in 0.0..1.0_f64,
        ) {
            let ttl = Duration::from_millis(ttl_ms);
            let (least, most) = (ttl.mul_f64(1.0 - jitter), ttl.mul_f64(1.0 + jitter));
            let varied = jittered(ttl, jitter, u);
            let hair = Duration::from_micros(1);
            prop_assert!(varied + hair >= least && varied <= most + hair);
        }
    }
}
