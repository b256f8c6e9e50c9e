//! Writes with an order: each gets a version and a stamp, so that the last write wins
//! however long it was queued. In each path no reader in this process gets the older
//! value after a write is acknowledged, and no reader anywhere once Redis is updated.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

pub use super::supersede::Committed;
use crate::{
    Codec, Failpoint, KeyPart, Loader, Namespace, OnWrite, Origin, Written,
    entry::{self, EntryMeta},
    error::{BoxError, Error},
    fetch::probe::{Probe, ProbeResult},
    keys,
    loader::BoundOrigin,
    policy::jittered,
    redis::{Command, Key, RedisError, Value, typed},
    scripts::queue,
    time::micros,
    trace::Trace,
    write::written::Effect,
};

/// The limit on queued writes: some 5 MiB in Redis.
const MAX_QUEUED_WRITES: usize = 10_000;
/// If Redis has not run the script by then, the write goes to the origin instead.
const ENQUEUE_TIMEOUT: Duration = Duration::from_millis(250);

/// An origin that orders writes by version and stamp, which it keeps with each value.
pub trait OrderedOrigin<K, T>: Origin<K, T> {
    /// Replaces the value. Returns the new version and stamp, or `None` if there is
    /// no value to replace. The new version must be above `order.floor` and all
    /// earlier versions; the stamp must be at least `order.stamp` and above all
    /// earlier stamps.
    fn write(
        &self,
        key: K,
        value: &T,
        order: WriteOrder,
    ) -> impl Future<Output = Result<Option<Committed>, Self::Error>> + Send;
}

/// The position of a write among the other writes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOrder {
    /// The highest version known to the cache. With write-behind it may be ahead of
    /// the origin.
    pub floor: u64,
    /// When the write began, in microseconds since 1970 by Redis's clock. The last
    /// write wins, by stamp.
    pub stamp: u64,
}

/// The cached version and the write clock, read before a write.
#[derive(Clone, Copy)]
struct WriteContext {
    order: WriteOrder,
    tag: Option<u64>,
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

/// A write. It owns everything it needs, so that it can continue without its caller.
struct OrderedWrite<K, T, O, C> {
    namespace: Namespace<T, C>,
    key: Key<T>,
    value: Arc<T>,
    origin: BoundOrigin<K, O>,
}

impl<K, T, O, C> Loader<K, T, O, C>
where
    K: KeyPart + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
    O: OrderedOrigin<K, T>,
    C: Codec<T>,
{
    /// Replaces a value at the origin and in the cache, in the order the policy
    /// defines: see [`OnWrite`]. Runs to completion even if the caller is cancelled.
    /// The version of the result is `None` if the origin has no such value.
    ///
    /// # Errors
    /// Returns the origin's error or a timeout. After a timeout the write may still
    /// have happened; the copy is then invalidated.
    pub async fn write(&self, key: K, value: T) -> Result<Written<T>, Error> {
        let write = OrderedWrite {
            namespace: self.namespace.clone(),
            key: self.namespace.key(&key),
            value: Arc::new(value),
            origin: self.bound(key),
        };
        tokio::spawn(async move { write.run().await }).await.unwrap_or(Err(Error::Aborted))
    }
}

impl<K, T, O, C> OrderedWrite<K, T, O, C>
where
    K: Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
    O: OrderedOrigin<K, T>,
    C: Codec<T>,
{
    async fn run(self) -> Result<Written<T>, Error> {
        let Namespace { policy, .. } = &self.namespace;
        match policy.on_write {
            OnWrite::Queue if !policy.is_bypassed => self.write_behind().await,
            OnWrite::Store if !policy.is_bypassed => self.write_and_store().await,
            _ => self.write_and_invalidate().await,
        }
    }

    fn written(&self, version: Option<u64>, effect: Effect) -> Written<T> {
        Written { value: version.map(|_| Arc::clone(&self.value)), version, effect }
    }

    /// Writes to the origin, then invalidates older copies.
    async fn write_and_invalidate(&self) -> Result<Written<T>, Error> {
        let context = self.context().await;
        let outcome = self.write_to_origin(&context).await;
        // A write that timed out may have happened, so the copy is dropped as well.
        let committed = outcome.as_ref().ok().copied().flatten();
        let effect = self.namespace.supersede(&self.key, committed).await;
        outcome.map(|committed| self.written(committed.map(|it| it.version), effect))
    }

    /// Writes to the origin, so that the cache is never newer; then invalidates
    /// older copies and stores the new one, in one round trip.
    async fn write_and_store(&self) -> Result<Written<T>, Error> {
        let context = self.context().await;
        let outcome = self.write_to_origin(&context).await;
        let Ok(Some(committed)) = outcome else {
            let effect = self.namespace.supersede(&self.key, None).await;
            return outcome.map(|_| self.written(None, effect));
        };
        let is_stored = match context.tag {
            Some(tag) => {
                let (namespace, meta) = (&self.namespace, self.meta(tag));
                namespace.replace(&self.key, &self.value, committed, &meta, committed.stamp).await
            }
            None => false,
        };
        let effect = match is_stored {
            true => Effect::Stored,
            false => self.namespace.supersede(&self.key, Some(committed)).await,
        };
        Ok(self.written(Some(committed.version), effect))
    }

    /// Queues the write in Redis; the origin gets it later. If that fails, writes
    /// to the origin at once.
    async fn write_behind(&self) -> Result<Written<T>, Error> {
        if self.namespace.client().is_unavailable() {
            return self.write_and_invalidate().await;
        }
        let Some(base) = self.base_version().await? else {
            return Ok(self.written(None, Effect::Invalidated(false)));
        };
        match self.enqueue(base).await {
            Ok(version) => {
                self.namespace.shared().invalidate_local(self.key.as_str());
                self.namespace.shared().write_queue.record_added();
                Ok(self.written(Some(version), Effect::Queued))
            }
            Err(error) => {
                log::debug!("write-behind: written through instead: {error}");
                self.write_and_invalidate().await
            }
        }
    }

    fn meta(&self, tag: u64) -> EntryMeta {
        let policy = &self.namespace.policy;
        let ttl = jittered(policy.ttl, policy.jitter, rand::random());
        let created_at = self.namespace.client().now() / 1000;
        EntryMeta { created_at, ttl, tag, ..EntryMeta::default() }
    }

    /// Returns the version to base a queued write on; `None` if there is no value.
    async fn base_version(&self) -> Result<Option<BaseVersion>, Error> {
        let probed: ProbeResult<T> = self.namespace.probe(&self.key).await;
        let tag = match probed.tag {
            Some(tag) => tag,
            None => self.namespace.read_tag().await.unwrap_or_default(),
        };
        if let Probe::Fresh(copy) = &probed.probe
            && copy.value.is_some()
        {
            return Ok(Some(BaseVersion { version: copy.version, tag }));
        }
        // Without the lease: another process's negative entry may predate the
        // value.
        let namespace = self.namespace.with(self.namespace.policy.lease(None));
        let loaded = namespace.load_here(&self.key, &probed, self.origin.clone()).await?;
        Ok(loaded.value.map(|_| BaseVersion { version: loaded.version, tag }))
    }

    async fn enqueue(&self, base: BaseVersion) -> Result<u64, EnqueueError> {
        let client = self.namespace.client();
        let latest = client.now() + micros(ENQUEUE_TIMEOUT);
        let Some(enqueue) = self.enqueue_command(base, latest) else {
            return Err(EnqueueError::Rejected("entry too large or not encodable".to_owned()));
        };
        if self.namespace.shared().observer.failpoint(Failpoint::AckBeforeRedis) {
            return Ok(self.enqueue_after_ack(enqueue, base));
        }
        let reply = client.run::<Vec<Value>>(enqueue, &self.namespace.trace).await;
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
        let client = self.namespace.client();
        let left = latest.saturating_sub(client.now()) + micros(2 * client.clock_error());
        tokio::time::sleep(Duration::from_micros(left).min(2 * ENQUEUE_TIMEOUT)).await;
    }

    /// Builds the command; `None` if the entry exceeds the size limit, or the codec fails.
    fn enqueue_command(&self, base: BaseVersion, latest: u64) -> Option<Command> {
        let (namespace, key) = (&self.namespace, &self.key);
        let (client, prefix) = (namespace.client(), namespace.client().prefix());
        let meta = self.meta(base.tag);
        let tail = entry::encode_tail(&namespace.codec, key.as_str(), &*self.value, &meta).ok()?;
        if !namespace.shared().admits_entry(namespace.name(), tail.len() + entry::MAX_HEAD_BYTES) {
            return None;
        }
        let mut value = Vec::new();
        namespace.codec.encode(&self.value, &mut value).ok()?;
        let names = [
            client.full_key(key),
            client.full_key(&keys::write_behind()),
            client.full_key(&keys::clock(prefix, key)),
            client.full_key(&keys::edited(prefix, key)),
        ];
        let enqueue = client.script_on(&queue::ENQUEUE, &names);
        let enqueue = enqueue.arg(base.version).arg(latest).arg(MAX_QUEUED_WRITES);
        let enqueue = enqueue.arg(key.as_str()).arg(tail).arg(value);
        Some(enqueue.arg(namespace.edited_ttl()).arg(namespace.clock_ttl()))
    }

    /// A deliberate bug: acknowledges a write before Redis has it.
    fn enqueue_after_ack(&self, enqueue: Command, base: BaseVersion) -> u64 {
        let client = self.namespace.client().clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let _ = client.run::<Value>(enqueue, &Trace::disabled()).await;
        });
        base.version + 1
    }

    /// Reads what the cache knows of a key before a write: its version, and the
    /// time for the stamp. Without Redis, falls back to the estimated clock.
    async fn context(&self) -> WriteContext {
        let (client, namespace) = (self.namespace.client(), &self.namespace);
        let clock = keys::clock(client.prefix(), &self.key);
        let names = [client.full_key(&self.key), client.full_key(&clock)];
        let context = client.script_on(&queue::WRITE_CONTEXT, &names);
        let tag = client.on("GET", &keys::tag(namespace.name()));
        let commands = [context, namespace.start_tag_command(), tag];
        let Ok([context, _, tag]) = client.run_all(commands, &namespace.trace).await else {
            return self.context_without_redis();
        };
        let Ok((floor, stamp)) = context.and_then(typed::<(u64, u64)>) else {
            return self.context_without_redis();
        };
        let tag = tag.and_then(typed::<Option<u64>>).ok().flatten();
        WriteContext { order: WriteOrder { floor, stamp }, tag, commit_wait: Duration::ZERO }
    }

    /// Without Redis the stamp is the latest time its clock may show, so that the
    /// write counts as later than every one acknowledged before.
    fn context_without_redis(&self) -> WriteContext {
        let client = self.namespace.client();
        let error = client.clock_error();
        let order = WriteOrder { floor: 0, stamp: client.now() + micros(error) };
        WriteContext { order, tag: None, commit_wait: 2 * error }
    }

    /// Writes in a separate task: a write that outlasts the caller's timeout may
    /// still happen, and the cache must then be invalidated.
    async fn write_to_origin(&self, context: &WriteContext) -> Result<Option<Committed>, Error> {
        let WriteContext { order, commit_wait, .. } = *context;
        let (value, bound) = (Arc::clone(&self.value), self.origin.clone());
        let mut writing = tokio::spawn(async move {
            let outcome = bound.origin.write(bound.key, &value, order).await;
            // Everything acknowledged after this write has a later stamp (commit
            // wait: Corbett et al., "Spanner", OSDI 2012).
            tokio::time::sleep(commit_wait).await;
            outcome.map_err(Into::<BoxError>::into)
        });
        match tokio::time::timeout(self.namespace.policy.hard_timeout, &mut writing).await {
            Ok(Ok(outcome)) => outcome.map_err(Error::from_origin),
            Ok(Err(_)) => Err(Error::Aborted),
            Err(_) => {
                self.supersede_when_written(writing);
                Err(Error::TimedOut)
            }
        }
    }

    fn supersede_when_written(&self, writing: JoinHandle<Result<Option<Committed>, BoxError>>) {
        let (namespace, key) = (self.namespace.clone(), self.key.clone());
        tokio::spawn(async move {
            if let Ok(Ok(Some(committed))) = writing.await {
                let _ = namespace.supersede(&key, Some(committed)).await;
            }
        });
    }
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Invalidates the copy of a write that was committed before this process started,
    /// once Redis is available; until then this process does not use the copy. For
    /// invalidations that an earlier process may not have made.
    pub fn supersede_later(&self, id: impl KeyPart, committed: Committed) {
        let key = self.key(&id);
        let command = self.invalidate_command(&key, Some(committed));
        if !self.client().defer(&key, command, committed.version) {
            self.cache().defer_namespace(self.name());
        }
        self.shared().invalidate_local(key.as_str());
    }
}

impl std::fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(error) => write!(f, "{error}"),
            Self::Rejected(reason) => f.write_str(reason),
        }
    }
}
