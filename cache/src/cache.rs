//! The cache: its operations, and the commands they share.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    CachePolicy, Cached, Engine, FetchError, Forward, Key, Lookup, Namespace, Origin, Versioned,
    Writable, Written,
    entry::{self, EntryMeta},
    keys,
    local::decoded::DecodedEntries,
    redis::{Command, RedisError, Store, typed},
    scripts,
    time::{micros, millis},
    trace::Trace,
    write::write_behind::Backlog,
};

/// A cache on one Redis connection. Each worker has its own; cloning is cheap.
#[derive(Clone)]
pub struct Cache {
    pub(crate) store: Store,
    pub(crate) engine: Arc<Engine>,
    pub(crate) decoded: Arc<DecodedEntries>,
    /// The full key of each registered namespace's tag.
    pub(crate) tags: Arc<[(Namespace, String)]>,
}

/// The arguments that every step of an operation needs: key, policy and trace.
pub(crate) struct Request<'a, T> {
    pub(crate) key: &'a Key<T>,
    pub(crate) policy: &'a CachePolicy,
    pub(crate) trace: &'a Trace,
}

impl<T> Clone for Request<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Request<'_, T> {}

impl Cache {
    /// Creates a cache on this connection.
    pub fn new(store: Store, engine: Arc<Engine>) -> Self {
        let tag_key = |namespace: &Namespace| (*namespace, store.full_key(&keys::tag(*namespace)));
        let tags = engine.namespaces.iter().map(tag_key).collect();
        Self { store, engine, decoded: Arc::default(), tags }
    }

    /// Returns the number of acknowledged writes that the origin does not have yet.
    /// Asks Redis; if that fails, returns the last known numbers. O(1).
    pub async fn count_backlog(&self) -> Backlog {
        let length = |key| self.store.on("XLEN", &key);
        let lengths = [length(keys::write_behind()), length(keys::write_behind_dead_letters())];
        if let Ok([pending, dead_letters]) = self.store.run_all(lengths, &Trace::disabled()).await
            && let (Ok(pending), Ok(dead_letters)) =
                (pending.and_then(typed), dead_letters.and_then(typed))
        {
            self.engine.write_queue.record_backlog(Backlog { pending, dead_letters });
        }
        self.engine.backlog()
    }

    /// The connection this cache uses.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The engine, which the caches of all threads share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the value under `key`, loading it from `origin` when the policy
    /// requires it.
    ///
    /// # Errors
    /// Returns the origin's error, a timeout or a rejection, unless a stale copy
    /// could be served instead. A Redis failure is never an error: it is a miss.
    #[expect(clippy::manual_async_fn, reason = "an async fn would store the origin twice")]
    pub fn fetch<T: Cached, O: Origin<T>>(
        &self,
        key: &Key<T>,
        policy: &CachePolicy,
        trace: &Trace,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, FetchError>> + Send {
        async move {
            let start = Instant::now();
            let mut lookup = self.read(Request { key, policy, trace }, origin).await?;
            let took = start.elapsed();
            lookup.elapsed_us = micros(took);
            let bypassed = lookup.forward == Forward::Bypass;
            self.engine.observer.looked_up(key.namespace().name(), lookup.source, bypassed, took);
            Ok(lookup)
        }
    }

    /// Replaces a value at the origin and in the cache, in the order the policy
    /// defines. Returns [`Written`], whose version is `None` if the origin has no
    /// such value.
    ///
    /// Must run to completion: spawn a task for it if the caller may be cancelled.
    ///
    /// # Errors
    /// Returns the origin's error or a timeout. After a timeout the write may still
    /// have happened; the copy is then invalidated.
    pub async fn write<T: Cached, O: Writable<T>>(
        &self,
        value: T,
        policy: &CachePolicy,
        trace: &Trace,
        origin: O,
    ) -> Result<Written, FetchError> {
        let key = value.key();
        let request = Request { key: &key, policy, trace };
        policy.strategy.write(self, request, &Arc::new(value), origin).await
    }

    /// Stores values in one round trip, for warming the cache. The policy's jitter
    /// varies each TTL, so that the copies don't expire together. Returns how many
    /// were sent, which excludes values above the entry size limit.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unreachable or rejects a command.
    pub async fn put_all<T: Cached>(
        &self,
        values: &[Versioned<T>],
        policy: &CachePolicy,
    ) -> Result<usize, RedisError> {
        let Some(first) = values.first() else { return Ok(0) };
        let tag = self.store.on("GET", &keys::tag(first.value.key().namespace()));
        let tag: Option<u64> = self.store.run(tag, &Trace::disabled()).await?;
        let (created_at, load_duration) = (self.store.now() / 1000, Duration::ZERO);
        let store = |it: &Versioned<T>| {
            let ttl = jittered(policy.ttl, policy.jitter, rand::random());
            let meta = EntryMeta { created_at, ttl, load_duration, tag: tag.unwrap_or_default() };
            let entry = entry::encode(it.version, Some(&it.value), meta);
            self.store_command(&it.value.key(), it.version, entry, ttl, created_at * 1000, policy)
        };
        let sets: Vec<_> = values.iter().filter_map(store).collect();
        let count = sets.len();
        self.store.run_many(sets).await.map(|_| count)
    }

    /// Builds the command that stores an entry. `loaded_since` is when the load
    /// began, in microseconds by Redis's clock. Returns `None`, and counts it, if
    /// the entry exceeds the size limit.
    pub(crate) fn store_command<T>(
        &self,
        key: &Key<T>,
        version: u64,
        entry: Vec<u8>,
        ttl: Duration,
        loaded_since: u64,
        policy: &CachePolicy,
    ) -> Option<Command> {
        let ttl = millis(ttl).max(1);
        let admitted = self.engine.admit_entry(key.namespace(), entry.len());
        admitted.then(|| match policy.versioned {
            true => {
                let fill = self.store.script(&scripts::FILL, key);
                fill.arg(version).arg(entry).arg(ttl).arg(loaded_since)
            }
            false => self.store.on("SET", key).arg(entry).arg("PX").arg(ttl),
        })
    }

    /// A time that Redis's clock has certainly passed, in microseconds since 1970.
    pub(crate) fn time_lower_bound(&self) -> u64 {
        self.store.now().saturating_sub(micros(self.store.clock_error()))
    }

    /// The full key of a namespace's tag, precomputed for registered namespaces.
    pub(crate) fn tag_key(&self, namespace: Namespace) -> Cow<'_, str> {
        match self.tags.iter().find(|(it, _)| *it == namespace) {
            Some((_, key)) => Cow::Borrowed(key),
            None => Cow::Owned(self.store.full_key(&keys::tag(namespace))),
        }
    }
}

/// Varies a TTL by up to `jitter`, a share of it, in either direction. `u` is a
/// random number from 0 to 1.
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
            let (min, max) = (ttl.mul_f64(1.0 - jitter), ttl.mul_f64(1.0 + jitter));
            let varied = jittered(ttl, jitter, u);
            let rounding = Duration::from_micros(1);
            prop_assert!(varied + rounding >= min && varied <= max + rounding);
        }
    }
}
