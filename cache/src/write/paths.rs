//! How a write goes, by whom it tells first. Whatever happens, nobody in this
//! process reads the older value after a write was acknowledged, and nobody
//! anywhere after Redis was told.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    Ask, Cache, CachePolicy, Cached, Failpoint, Key, Namespace,
    entry::{self, EntryMeta},
    error::{FetchError, OriginError},
    fetch::probe::{Probe, ProbeResult},
    keys,
    origin::{Committed, Origin, Writable, WriteOrder},
    redis::{Command, DeferError, RedisError, Value, typed},
    scripts,
    time::{micros, millis},
    trace::Trace,
    write::written::{Effect, Written},
};

/// How long the mark of a forgotten version stays: longer than any reader may
/// take from its SELECT to its fill, a Redis that was frozen in between included.
pub(crate) const MARK_TTL: Duration = Duration::from_secs(60);
/// The most writes that may wait for the database: some 5 MiB in Redis.
const QUEUE_MAX: usize = 10_000;
/// What [`scripts::ENQUEUE`] puts before the tail of an entry has at most so many
/// bytes: `{"version":`, `"pending":` and two numbers.
const HEAD_MAX: usize = 64;
/// After this long a write that Redis did not run yet goes another way.
const ENQUEUE_MAX: Duration = Duration::from_millis(250);

/// What the cache knew before a write.
struct WriteContext {
    order: WriteOrder,
    tag: u64,
    /// How far ahead the stamp may be of Redis's clock.
    ahead: Duration,
}

/// What a write that waits follows.
#[derive(Clone, Copy)]
struct BaseVersion {
    version: u64,
    tag: u64,
}

/// Why a write can't be queued.
enum EnqueueError {
    /// Redis says so, or says nothing.
    RedisError(RedisError),
    /// In Redis's own word.
    Refused(String),
}

impl<T, O: Writable<T>> Writable<T> for Arc<O> {
    fn write(
        &self,
        value: &T,
        order: WriteOrder,
    ) -> impl Future<Output = Result<Option<Committed>, <Self as Origin<T>>::Error>> + Send {
        O::write(self, value, order)
    }
}

impl Cache {
    /// The origin first; then the cache drops what is older.
    pub(crate) async fn write_and_invalidate<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let known = self.known(ask).await;
        let changed = self.write_to_origin(ask, value, origin, &known).await;
        // A write that timed out may have happened: the copy must go as well.
        let newer = changed.as_ref().ok().copied().flatten();
        let effect = match self.supersede(ask.key, newer, ask.policy, ask.trace).await {
            Ok(dropped) => Effect::Invalidated(dropped),
            Err(error) => Effect::Deferred(error),
        };
        changed.map(|newer| Written { version: newer.map(|it| it.version), effect })
    }

    /// The origin first, so that the cache is never newer; then the cache: it
    /// drops what is older and stores what was written, in one round trip.
    pub(crate) async fn write_and_store<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let known = self.known(ask).await;
        let changed = self.write_to_origin(ask, value, origin, &known).await;
        let Ok(Some(newer)) = changed else {
            let _ = self.supersede(ask.key, None, ask.policy, ask.trace).await;
            return changed.map(|_| Written::nothing());
        };
        let (created_at, load_duration) = (self.store.now() / 1000, Duration::ZERO);
        let made = EntryMeta { created_at, ttl: ask.policy.ttl, load_duration, tag: known.tag };
        let entry = entry::encode(newer.version, Some(&**value), made);
        let set = self.set(ask.key, newer.version, entry, made.ttl, newer.stamp, ask.policy);
        let is_stored = match set {
            Some(set) => self.drop_and_store(ask, newer, set).await,
            None => false,
        };
        let effect = match is_stored {
            true => Effect::Stored,
            false => match self.supersede(ask.key, Some(newer), ask.policy, ask.trace).await {
                Ok(dropped) => Effect::Invalidated(dropped),
                Err(error) => Effect::Deferred(error),
            },
        };
        Ok(Written { version: Some(newer.version), effect })
    }

    /// Drops what is older than the write and stores what was written, in one
    /// round trip. Whether both were done.
    async fn drop_and_store<T>(&self, ask: Ask<'_, T>, newer: Committed, set: Command) -> bool {
        let forget = self.invalidate_command(ask.key, Some(newer), ask.policy);
        let stored = self.store.run_all([forget, set], ask.trace).await;
        self.engine.invalidate_local(ask.key);
        matches!(stored, Ok([Ok(_), Ok(_)]))
    }

    /// Redis now, the origin later. When Redis can't take it, the origin now.
    pub(crate) async fn write_behind<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let origin = Arc::new(origin);
        if self.store.is_away() {
            return self.write_and_invalidate(ask, value, origin).await;
        }
        let Some(base) = self.base_version(ask, Arc::clone(&origin)).await? else {
            return Ok(Written::nothing());
        };
        match self.enqueue(ask, value, base).await {
            Ok(version) => {
                self.engine.invalidate_local(ask.key);
                self.engine.pending.added();
                Ok(Written { version: Some(version), effect: Effect::Queued })
            }
            Err(why) => {
                log::debug!("written through: {why:?}");
                self.write_and_invalidate(ask, value, origin).await
            }
        }
    }

    /// What a write follows; `None` when there is no value.
    async fn base_version<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Option<BaseVersion>, FetchError> {
        let seen: ProbeResult<T> = self.probe(ask).await;
        if let Probe::Fresh(held) = &seen.probe
            && held.value.is_some()
        {
            return Ok(Some(BaseVersion { version: held.version, tag: seen.tag }));
        }
        // Not by the lease: a mark of absence may be older than the value.
        let policy = CachePolicy { lease: None, ..*ask.policy };
        let ask = Ask { policy: &policy, ..ask };
        let loaded = self.load_here(ask, &seen, origin).await?;
        Ok(loaded.value.map(|_| BaseVersion { version: loaded.version, tag: seen.tag }))
    }

    async fn enqueue<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        value: &T,
        base: BaseVersion,
    ) -> Result<u64, EnqueueError> {
        let latest = self.store.now() + micros(ENQUEUE_MAX);
        let Some(enqueue) = self.enqueuing(ask, value, base, latest) else {
            return Err(EnqueueError::Refused("too large".to_owned()));
        };
        if self.engine.observer.failpoint(Failpoint::AckBeforeRedis) {
            return Ok(self.enqueue_some_time(enqueue, base));
        }
        let reply = self.store.run::<Vec<Value>>(enqueue, ask.trace).await;
        if let Err(error) = &reply
            && error.is_ambiguous()
        {
            self.wait_until_expired(latest).await;
        }
        let mut parts = reply.map_err(EnqueueError::RedisError)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let (queued, told) = (typed::<u64>(next()).map_err(EnqueueError::RedisError)?, next());
        match queued {
            0 => Err(EnqueueError::Refused(typed(told).map_err(EnqueueError::RedisError)?)),
            _ => typed(told).map_err(EnqueueError::RedisError),
        }
    }

    /// A command whose connection broke, or whose deadline passed, may still be on
    /// its way; one that was not sent is not waited for. After its latest time it
    /// does nothing any more, and another write can't be overtaken by it.
    async fn wait_until_expired(&self, latest: u64) {
        let left = latest.saturating_sub(self.store.now()) + micros(2 * self.store.clock_error());
        tokio::time::sleep(Duration::from_micros(left).min(2 * ENQUEUE_MAX)).await;
    }

    /// `None` when the entry is too large.
    fn enqueuing<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        value: &T,
        base: BaseVersion,
        latest: u64,
    ) -> Option<Command> {
        let (created_at, ttl, load_duration) =
            (self.store.now() / 1000, ask.policy.ttl, Duration::ZERO);
        let tail =
            entry::encode_tail(value, EntryMeta { created_at, ttl, load_duration, tag: base.tag });
        if !self.engine.admit_entry(ask.key.namespace(), tail.len() + HEAD_MAX) {
            return None;
        }
        let value = serde_json::to_string(value).expect("plain data with text keys is JSON");
        let names = [
            self.store.name(ask.key),
            self.store.name(&keys::write_behind()),
            self.store.name(&keys::write_clock()),
            self.store.name(&keys::edited(ask.key)),
        ];
        let enqueue = self.store.script_on(&scripts::ENQUEUE, &names);
        let enqueue = enqueue.arg(base.version).arg(latest).arg(QUEUE_MAX).arg(ask.key.as_str());
        Some(enqueue.arg(tail).arg(value).arg(edited_ttl(ask.policy)))
    }

    /// Deliberately wrong: acknowledges what only this process knows.
    fn enqueue_some_time(&self, enqueue: Command, base: BaseVersion) -> u64 {
        let store = self.store.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let _ = store.run::<Value>(enqueue, &Trace::disabled()).await;
        });
        base.version + 1
    }

    /// What the cache knows of the key before a write: the version it may not
    /// fall behind, and the time. Without Redis, nothing and our idea of it.
    async fn known<T: Cached>(&self, ask: Ask<'_, T>) -> WriteContext {
        let names = [self.store.name(ask.key), self.store.name(&keys::write_clock())];
        let held = self.store.script_on(&scripts::HELD, &names);
        let tag = self.store.on("GET", &keys::tag(ask.key.namespace()));
        let Ok([held, tag]) = self.store.run_all([held, tag], ask.trace).await else {
            return self.unknown();
        };
        let Ok((floor, stamp)) = held.and_then(typed::<(u64, u64)>) else { return self.unknown() };
        let tag = tag.and_then(typed::<Option<u64>>).ok().flatten().unwrap_or_default();
        WriteContext { order: WriteOrder { floor, stamp }, tag, ahead: Duration::ZERO }
    }

    /// Without Redis the stamp is the latest that its clock may show, so that
    /// the write counts as later than all that were acknowledged before.
    fn unknown(&self) -> WriteContext {
        let error = self.store.clock_error();
        let order = WriteOrder { floor: 0, stamp: self.store.now() + micros(error) };
        WriteContext { order, tag: 0, ahead: 2 * error }
    }

    /// In a task of its own: a write that takes longer than the caller waits
    /// may still be made, and then the cache must hear of it.
    async fn write_to_origin<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
        known: &WriteContext,
    ) -> Result<Option<Committed>, FetchError> {
        let (value, order, ahead) = (Arc::clone(value), known.order, known.ahead);
        let mut writing = tokio::spawn(async move {
            let changed = origin.write(&value, order).await;
            // Whatever is acknowledged after this write has a later stamp
            // (commit wait: Corbett et al., "Spanner", OSDI 2012).
            tokio::time::sleep(ahead).await;
            changed
        });
        match tokio::time::timeout(ask.policy.hard_timeout, &mut writing).await {
            Ok(Ok(changed)) => changed.map_err(FetchError::of),
            Ok(Err(_)) => Err(FetchError::BrokeOff),
            Err(_) => {
                self.supersede_when_written(ask, writing);
                Err(FetchError::TimedOut)
            }
        }
    }

    fn supersede_when_written<T: Cached, E: OriginError>(
        &self,
        ask: Ask<'_, T>,
        writing: JoinHandle<Result<Option<Committed>, E>>,
    ) {
        let (cache, key, policy) = (self.clone(), ask.key.clone(), *ask.policy);
        tokio::spawn(async move {
            if let Ok(Ok(Some(newer))) = writing.await {
                let _ = cache.supersede(&key, Some(newer), &policy, &Trace::disabled()).await;
            }
        });
    }

    /// Drops the copy under `key` unless it is as new as `newer`, and from now
    /// on stores nothing older. When Redis can't be told, the copy is not
    /// used until it is. Without a version whatever is there is dropped, but
    /// what the origin does not have yet.
    pub async fn supersede<T>(
        &self,
        key: &Key<T>,
        newer: Option<Committed>,
        policy: &CachePolicy,
        trace: &Trace,
    ) -> Result<bool, RedisError> {
        let invalidate_command = self.invalidate_command(key, newer, policy);
        let rank = newer.map(|it| it.version);
        let dropped: Result<i64, DeferError> =
            self.store.run_or_defer(key, invalidate_command, rank, trace).await;
        self.engine.invalidate_local(key);
        match dropped {
            Ok(dropped) => Ok(dropped == 1),
            Err(DeferError::Owed(error)) => Err(error),
            Err(DeferError::Unremembered) => {
                self.defer_namespace_invalidation(key.namespace());
                Err(RedisError::Outdated)
            }
        }
    }

    /// The same, as soon as Redis can be told; until then the copy is not used.
    pub fn supersede_later<T>(&self, key: &Key<T>, newer: Committed, policy: &CachePolicy) {
        if !self.store.defer(key, self.invalidate_command(key, Some(newer), policy), newer.version)
        {
            self.defer_namespace_invalidation(key.namespace());
        }
        self.engine.invalidate_local(key);
    }

    /// Too many keys to remember each: until Redis can be told, no copy of the
    /// namespace is used, and then all are of the past.
    fn defer_namespace_invalidation(&self, namespace: Namespace) {
        let tag = keys::tag(namespace);
        self.store.defer_unbounded(&tag, self.store.script(&scripts::NEXT_GENERATION, &tag));
        self.engine.invalidate_namespace(namespace);
    }

    pub(crate) fn invalidate_command<T>(
        &self,
        key: &Key<T>,
        newer: Option<Committed>,
        policy: &CachePolicy,
    ) -> Command {
        let (good, stamp) = newer.map_or((-1, 0), |it| (it.version.cast_signed(), it.stamp));
        let names = [
            self.store.name(key),
            self.store.name(&keys::edited(key)),
            self.store.name(&keys::write_clock()),
        ];
        let forget = self.store.script_on(&scripts::INVALIDATE, &names);
        forget.arg(good).arg(millis(MARK_TTL)).arg(stamp).arg(edited_ttl(policy))
    }
}

/// In milliseconds: as long as any process may hold a copy, its grace included.
pub(crate) fn edited_ttl(policy: &CachePolicy) -> u64 {
    millis(MARK_TTL.max(policy.ttl + policy.grace))
}

impl std::fmt::Debug for EnqueueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RedisError(error) => write!(f, "{error}"),
            Self::Refused(word) => f.write_str(word),
        }
    }
}
