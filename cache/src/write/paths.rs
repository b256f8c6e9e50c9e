//! Write paths, by which store is updated first. In each of them no reader in this
//! process gets the older value after a write is acknowledged, and no reader
//! anywhere once Redis is updated.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    Cache, CachePolicy, Cached, Failpoint, Key, Namespace, Request,
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

/// The TTL of a tombstone: longer than any reader may take from its SELECT to its
/// fill, even if Redis freezes in between.
pub(crate) const TOMBSTONE_TTL: Duration = Duration::from_secs(60);
/// The limit on queued writes: some 5 MiB in Redis.
const MAX_QUEUED_WRITES: usize = 10_000;
/// The most bytes that [`scripts::ENQUEUE`] puts before the tail of an entry:
/// `{"version":`, `"pending":` and two numbers.
const MAX_HEAD_BYTES: usize = 64;
/// If Redis has not run the script by then, the write goes to the origin instead.
const ENQUEUE_TIMEOUT: Duration = Duration::from_millis(250);

/// The cached version and the write clock, read before a write.
struct WriteContext {
    order: WriteOrder,
    tag: u64,
    /// How long to wait before acknowledging, as the stamp may be ahead of Redis's
    /// clock.
    commit_wait: Duration,
}

/// The version that a queued write is based on.
#[derive(Clone, Copy)]
struct BaseVersion {
    version: u64,
    tag: u64,
}

/// Why a write was not queued.
enum EnqueueError {
    /// Redis failed.
    Redis(RedisError),
    /// The script, or the size limit, rejected it; the reason.
    Rejected(String),
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
    /// Writes to the origin, then invalidates older copies.
    pub(crate) async fn write_and_invalidate<T: Cached, O: Writable<T>>(
        &self,
        request: Request<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let context = self.write_context(request).await;
        let outcome = self.write_to_origin(request, value, origin, &context).await;
        // A write that timed out may have happened, so the copy is dropped as well.
        let committed = outcome.as_ref().ok().copied().flatten();
        let effect =
            match self.supersede(request.key, committed, request.policy, request.trace).await {
                Ok(dropped) => Effect::Invalidated(dropped),
                Err(error) => Effect::Deferred(error),
            };
        outcome.map(|committed| Written { version: committed.map(|it| it.version), effect })
    }

    /// Writes to the origin, so that the cache is never newer; then invalidates
    /// older copies and stores the new one, in one round trip.
    pub(crate) async fn write_and_store<T: Cached, O: Writable<T>>(
        &self,
        request: Request<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let context = self.write_context(request).await;
        let outcome = self.write_to_origin(request, value, origin, &context).await;
        let Ok(Some(committed)) = outcome else {
            let _ = self.supersede(request.key, None, request.policy, request.trace).await;
            return outcome.map(|_| Written::nothing());
        };
        let (created_at, load_duration) = (self.store.now() / 1000, Duration::ZERO);
        let meta =
            EntryMeta { created_at, ttl: request.policy.ttl, load_duration, tag: context.tag };
        let entry = entry::encode(committed.version, Some(&**value), meta);
        let command = self.store_command(
            request.key,
            committed.version,
            entry,
            meta.ttl,
            committed.stamp,
            request.policy,
        );
        let is_stored = match command {
            Some(command) => self.invalidate_and_store(request, committed, command).await,
            None => false,
        };
        let effect = match is_stored {
            true => Effect::Stored,
            false => match self
                .supersede(request.key, Some(committed), request.policy, request.trace)
                .await
            {
                Ok(dropped) => Effect::Invalidated(dropped),
                Err(error) => Effect::Deferred(error),
            },
        };
        Ok(Written { version: Some(committed.version), effect })
    }

    /// Invalidates older copies and stores the new one, in one round trip. Returns
    /// whether both succeeded.
    async fn invalidate_and_store<T>(
        &self,
        request: Request<'_, T>,
        committed: Committed,
        store: Command,
    ) -> bool {
        let invalidate = self.invalidate_command(request.key, Some(committed), request.policy);
        let stored = self.store.run_all([invalidate, store], request.trace).await;
        self.engine.invalidate_local(request.key);
        matches!(stored, Ok([Ok(_), Ok(_)]))
    }

    /// Queues the write in Redis; the origin gets it later. If that fails, writes
    /// to the origin at once.
    pub(crate) async fn write_behind<T: Cached, O: Writable<T>>(
        &self,
        request: Request<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, FetchError> {
        let origin = Arc::new(origin);
        if self.store.is_unavailable() {
            return self.write_and_invalidate(request, value, origin).await;
        }
        let Some(base) = self.base_version(request, Arc::clone(&origin)).await? else {
            return Ok(Written::nothing());
        };
        match self.enqueue(request, value, base).await {
            Ok(version) => {
                self.engine.invalidate_local(request.key);
                self.engine.write_queue.record_added();
                Ok(Written { version: Some(version), effect: Effect::Queued })
            }
            Err(error) => {
                log::debug!("write-behind: written through instead: {error:?}");
                self.write_and_invalidate(request, value, origin).await
            }
        }
    }

    /// Returns the version to base a queued write on; `None` if there is no value.
    async fn base_version<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        origin: O,
    ) -> Result<Option<BaseVersion>, FetchError> {
        let probed: ProbeResult<T> = self.probe(request).await;
        if let Probe::Fresh(copy) = &probed.probe
            && copy.value.is_some()
        {
            return Ok(Some(BaseVersion { version: copy.version, tag: probed.tag }));
        }
        // Without the lease: another process's negative entry may predate the
        // value.
        let policy = CachePolicy { lease: None, ..*request.policy };
        let request = Request { policy: &policy, ..request };
        let loaded = self.load_here(request, &probed, origin).await?;
        Ok(loaded.value.map(|_| BaseVersion { version: loaded.version, tag: probed.tag }))
    }

    async fn enqueue<T: Cached>(
        &self,
        request: Request<'_, T>,
        value: &T,
        base: BaseVersion,
    ) -> Result<u64, EnqueueError> {
        let latest = self.store.now() + micros(ENQUEUE_TIMEOUT);
        let Some(enqueue) = self.enqueue_command(request, value, base, latest) else {
            return Err(EnqueueError::Rejected("entry too large".to_owned()));
        };
        if self.engine.observer.failpoint(Failpoint::AckBeforeRedis) {
            return Ok(self.enqueue_after_ack(enqueue, base));
        }
        let reply = self.store.run::<Vec<Value>>(enqueue, request.trace).await;
        if let Err(error) = &reply
            && error.is_ambiguous()
        {
            self.wait_until_expired(latest).await;
        }
        let mut parts = reply.map_err(EnqueueError::Redis)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let (queued, value_or_reason) =
            (typed::<u64>(next()).map_err(EnqueueError::Redis)?, next());
        match queued {
            0 => Err(EnqueueError::Rejected(typed(value_or_reason).map_err(EnqueueError::Redis)?)),
            _ => typed(value_or_reason).map_err(EnqueueError::Redis),
        }
    }

    /// Waits until a command that may still be in flight can no longer run, so that
    /// it can't overtake another write. After its latest time the script does
    /// nothing.
    async fn wait_until_expired(&self, latest: u64) {
        let left = latest.saturating_sub(self.store.now()) + micros(2 * self.store.clock_error());
        tokio::time::sleep(Duration::from_micros(left).min(2 * ENQUEUE_TIMEOUT)).await;
    }

    /// Builds the command; `None` if the entry exceeds the size limit.
    fn enqueue_command<T: Cached>(
        &self,
        request: Request<'_, T>,
        value: &T,
        base: BaseVersion,
        latest: u64,
    ) -> Option<Command> {
        let (created_at, ttl, load_duration) =
            (self.store.now() / 1000, request.policy.ttl, Duration::ZERO);
        let tail =
            entry::encode_tail(value, EntryMeta { created_at, ttl, load_duration, tag: base.tag });
        if !self.engine.admit_entry(request.key.namespace(), tail.len() + MAX_HEAD_BYTES) {
            return None;
        }
        let value = serde_json::to_string(value).expect("plain data with text keys is JSON");
        let names = [
            self.store.full_key(request.key),
            self.store.full_key(&keys::write_behind()),
            self.store.full_key(&keys::write_clock()),
            self.store.full_key(&keys::edited(request.key)),
        ];
        let enqueue = self.store.script_on(&scripts::ENQUEUE, &names);
        let enqueue =
            enqueue.arg(base.version).arg(latest).arg(MAX_QUEUED_WRITES).arg(request.key.as_str());
        Some(enqueue.arg(tail).arg(value).arg(edited_ttl(request.policy)))
    }

    /// A deliberate bug: acknowledges a write before Redis has it.
    fn enqueue_after_ack(&self, enqueue: Command, base: BaseVersion) -> u64 {
        let store = self.store.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let _ = store.run::<Value>(enqueue, &Trace::disabled()).await;
        });
        base.version + 1
    }

    /// Reads what the cache knows of a key before a write: its version, and the
    /// time for the stamp. Without Redis, falls back to the estimated clock.
    async fn write_context<T: Cached>(&self, request: Request<'_, T>) -> WriteContext {
        let names = [self.store.full_key(request.key), self.store.full_key(&keys::write_clock())];
        let context = self.store.script_on(&scripts::WRITE_CONTEXT, &names);
        let tag = self.store.on("GET", &keys::tag(request.key.namespace()));
        let Ok([context, tag]) = self.store.run_all([context, tag], request.trace).await else {
            return self.write_context_without_redis();
        };
        let Ok((floor, stamp)) = context.and_then(typed::<(u64, u64)>) else {
            return self.write_context_without_redis();
        };
        let tag = tag.and_then(typed::<Option<u64>>).ok().flatten().unwrap_or_default();
        WriteContext { order: WriteOrder { floor, stamp }, tag, commit_wait: Duration::ZERO }
    }

    /// Without Redis the stamp is the latest time its clock may show, so that the
    /// write counts as later than every one acknowledged before.
    fn write_context_without_redis(&self) -> WriteContext {
        let error = self.store.clock_error();
        let order = WriteOrder { floor: 0, stamp: self.store.now() + micros(error) };
        WriteContext { order, tag: 0, commit_wait: 2 * error }
    }

    /// Writes in a separate task: a write that outlasts the caller's timeout may
    /// still happen, and the cache must then be invalidated.
    async fn write_to_origin<T: Cached, O: Writable<T>>(
        &self,
        request: Request<'_, T>,
        value: &Arc<T>,
        origin: O,
        context: &WriteContext,
    ) -> Result<Option<Committed>, FetchError> {
        let (value, order, commit_wait) = (Arc::clone(value), context.order, context.commit_wait);
        let mut writing = tokio::spawn(async move {
            let outcome = origin.write(&value, order).await;
            // Everything acknowledged after this write has a later stamp (commit
            // wait: Corbett et al., "Spanner", OSDI 2012).
            tokio::time::sleep(commit_wait).await;
            outcome
        });
        match tokio::time::timeout(request.policy.hard_timeout, &mut writing).await {
            Ok(Ok(outcome)) => outcome.map_err(FetchError::of),
            Ok(Err(_)) => Err(FetchError::Aborted),
            Err(_) => {
                self.supersede_when_written(request, writing);
                Err(FetchError::TimedOut)
            }
        }
    }

    fn supersede_when_written<T: Cached, E: OriginError>(
        &self,
        request: Request<'_, T>,
        writing: JoinHandle<Result<Option<Committed>, E>>,
    ) {
        let (cache, key, policy) = (self.clone(), request.key.clone(), *request.policy);
        tokio::spawn(async move {
            if let Ok(Ok(Some(committed))) = writing.await {
                let _ = cache.supersede(&key, Some(committed), &policy, &Trace::disabled()).await;
            }
        });
    }

    /// Invalidates copies of `key` that are older than `committed`, and prevents
    /// later fills with older values. Without a version it drops any copy except a
    /// pending one. Returns whether a copy was dropped.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis failed; the invalidation is then deferred,
    /// and this process does not use the copy until it has run.
    pub async fn supersede<T>(
        &self,
        key: &Key<T>,
        committed: Option<Committed>,
        policy: &CachePolicy,
        trace: &Trace,
    ) -> Result<bool, RedisError> {
        let command = self.invalidate_command(key, committed, policy);
        let rank = committed.map(|it| it.version);
        let reply: Result<i64, DeferError> =
            self.store.run_or_defer(key, command, rank, trace).await;
        self.engine.invalidate_local(key);
        match reply {
            Ok(dropped) => Ok(dropped == 1),
            Err(DeferError::Deferred(error)) => Err(error),
            Err(DeferError::LimitReached) => {
                self.defer_namespace_invalidation(key.namespace());
                Err(RedisError::Outdated)
            }
        }
    }

    /// Defers the invalidation of [`Self::supersede`]: it runs when Redis is
    /// available, and this process does not use the copy until then.
    pub fn supersede_later<T>(&self, key: &Key<T>, committed: Committed, policy: &CachePolicy) {
        if !self.store.defer(
            key,
            self.invalidate_command(key, Some(committed), policy),
            committed.version,
        ) {
            self.defer_namespace_invalidation(key.namespace());
        }
        self.engine.invalidate_local(key);
    }

    /// Too many keys are deferred: until Redis is available no copy of the
    /// namespace is used, and then all are invalidated.
    fn defer_namespace_invalidation(&self, namespace: Namespace) {
        let tag = keys::tag(namespace);
        self.store.defer_unbounded(&tag, self.store.script(&scripts::NEXT_GENERATION, &tag));
        self.engine.invalidate_namespace(namespace);
    }

    pub(crate) fn invalidate_command<T>(
        &self,
        key: &Key<T>,
        committed: Option<Committed>,
        policy: &CachePolicy,
    ) -> Command {
        let (version, stamp) = committed.map_or((-1, 0), |it| (it.version.cast_signed(), it.stamp));
        let names = [
            self.store.full_key(key),
            self.store.full_key(&keys::edited(key)),
            self.store.full_key(&keys::write_clock()),
        ];
        let invalidate = self.store.script_on(&scripts::INVALIDATE, &names);
        invalidate.arg(version).arg(millis(TOMBSTONE_TTL)).arg(stamp).arg(edited_ttl(policy))
    }
}

/// The TTL of an `edited` key in milliseconds: as long as any process may hold a
/// copy, including its grace period.
pub(crate) fn edited_ttl(policy: &CachePolicy) -> u64 {
    millis(TOMBSTONE_TTL.max(policy.ttl + policy.grace))
}

impl std::fmt::Debug for EnqueueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(error) => write!(f, "{error}"),
            Self::Rejected(reason) => f.write_str(reason),
        }
    }
}
