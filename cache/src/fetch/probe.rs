//! Looks for a copy in this process, then in Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Cache, Cached, Key, Request, Source, Versioned,
    entry::{Content, EntryMeta},
    fetch::retry::Backoff,
    keys,
    local::{cached_copy::CachedCopy, near::Epoch},
    redis::{Command, RedisError, Value, typed},
    time::millis,
    trace::Target,
};

/// The result of a probe.
pub struct ProbeResult<T> {
    /// The copy, or why there is none.
    pub probe: Probe<T>,
    /// The lowest acceptable version of a load.
    pub floor: u64,
    /// The current generation of the tag, for a copy loaded from now on.
    pub tag: u64,
    /// Whether Redis holds a tombstone: the copy was invalidated.
    pub is_tombstone: bool,
    /// When it was invalidated explicitly, in microseconds by Redis's clock; else
    /// 0.
    pub invalidated_at: u64,
    /// Whether this process decoded the entry for the first time.
    pub is_newly_decoded: bool,
}

/// A copy past its TTL.
pub struct StaleCopy<T> {
    /// The copy.
    pub copy: CachedCopy<T>,
    /// The error that kept Redis from confirming that nothing is newer, if any.
    pub error: Option<RedisError>,
}

/// Whether a fresh copy was found.
pub enum Probe<T> {
    /// A copy within its TTL.
    Fresh(CachedCopy<T>),
    /// No usable copy.
    Miss(Miss),
}

/// Why no usable copy was found.
#[derive(Debug, Clone)]
pub enum Miss {
    /// The cache was bypassed.
    Bypassed,
    /// There is no copy, or only an expired or invalidated one.
    Empty,
    /// The entry is corrupt, as described here. The fill overwrites it, and logs
    /// it.
    Corrupt(&'static str),
    /// Redis failed.
    Redis(RedisError),
}

impl<T> ProbeResult<T> {
    /// A miss about which nothing else is known.
    pub fn miss(miss: Miss) -> Self {
        Self {
            probe: Probe::Miss(miss),
            floor: 0,
            tag: 0,
            is_tombstone: false,
            invalidated_at: 0,
            is_newly_decoded: false,
        }
    }
}

/// The bytes of an entry, and the generation of its tag.
pub type RawCopy = (Option<Vec<u8>>, Option<u64>);

/// Parses the reply to [`Cache::get_command`].
pub fn parse_copy(reply: Value) -> Result<RawCopy, RedisError> {
    let Value::Array(parts) = reply else { return typed(reply) };
    let mut parts = parts.into_iter();
    let (copy, tag) = (parts.next().unwrap_or(Value::Nil), parts.next().unwrap_or(Value::Nil));
    let copy = match copy {
        Value::BulkString(bytes) => Some(bytes),
        other => typed(other)?,
    };
    // A tag that is not a number was not set by hitrate; the next generation
    // replaces it.
    Ok((copy, typed(tag).unwrap_or_default()))
}

impl Cache {
    /// Looks for a copy in the caches that the policy uses.
    pub(crate) async fn probe<T: Cached>(&self, request: Request<'_, T>) -> ProbeResult<T> {
        let Some(near_ttl) = request.policy.near else { return self.probe_redis(request).await };
        let (name, near, since) = (request.key.as_str(), &self.engine.near, Instant::now());
        if let Some(copy) = near.get(name, self.store.is_unavailable()) {
            request
                .trace
                .event(Target::Memory, since, "look up the near cache", || describe(&copy));
            let (floor, tag) = (copy.version, copy.tag);
            return ProbeResult {
                floor,
                tag,
                probe: Probe::Fresh(copy),
                ..ProbeResult::miss(Miss::Bypassed)
            };
        }
        request.trace.event(Target::Memory, since, "look up the near cache", || "miss".to_owned());
        let epoch = near.epoch(name);
        let probed = self.probe_redis(request).await;
        if let Probe::Fresh(copy) = &probed.probe
            && copy.left.is_some()
        {
            near.insert(name, copy.clone(), near_ttl, epoch);
        }
        probed
    }

    /// Returns this process's stale copy if it may be served: no newer version and
    /// no invalidation is known. Asks Redis only if there is such a copy. O(1).
    pub(crate) async fn probe_stale<T: Cached>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
    ) -> Option<StaleCopy<T>> {
        let grace = request.policy.grace;
        let copy = (!grace.is_zero()).then(|| self.engine.stale.get::<T>(request.key.as_str()))?;
        let copy = copy.filter(|copy| copy.value.is_some() && copy.stale_for < grace)?;
        match &probed.probe {
            Probe::Miss(Miss::Redis(RedisError::Outdated)) => return None,
            Probe::Miss(Miss::Redis(error)) => {
                return Some(StaleCopy { copy, error: Some(error.clone()) });
            }
            _ if probed.is_tombstone || copy.version < probed.floor || copy.tag != probed.tag => {
                return None;
            }
            _ => (),
        }
        let edited = self.store.on("GET", &keys::edited(request.key));
        match self.store.run::<Option<u64>>(edited, request.trace).await {
            Ok(floor) if copy.version < floor.unwrap_or_default() => None,
            outcome => Some(StaleCopy { copy, error: outcome.err() }),
        }
    }

    /// Keeps a copy for its grace period, unless the key was invalidated since
    /// `epoch`.
    pub(crate) fn remember<T: Cached>(
        &self,
        request: Request<'_, T>,
        copy: &CachedCopy<T>,
        epoch: Epoch,
    ) {
        let (name, grace) = (request.key.as_str(), request.policy.grace);
        let Some(left) = copy.left.filter(|_| !grace.is_zero() && copy.value.is_some()) else {
            return;
        };
        let entries = &self.engine.stale;
        self.engine.near.if_unchanged(name, epoch, || {
            let known = entries.get::<T>(name);
            let is_newer = |known: CachedCopy<T>| {
                (known.version, known.created_at) < (copy.version, copy.created_at)
                    || known.tag != copy.tag
            };
            if known.is_none_or(is_newer) {
                entries.insert(name, copy.clone(), left + grace);
            }
        });
    }

    /// Reads the copy and the tag in one round trip. O(1).
    async fn probe_redis<T: Cached>(&self, request: Request<'_, T>) -> ProbeResult<T> {
        if self.is_deferred(request.key) {
            return ProbeResult::miss(Miss::Redis(RedisError::Outdated));
        }
        let epoch = self.engine.near.epoch(request.key.as_str());
        let was_available = !self.store.is_unavailable();
        let mut reply = self.store.run::<Value>(self.get_command(request.key), request.trace).await;
        if was_available && reply.as_ref().is_err_and(RedisError::is_disconnected) {
            reply = Box::pin(self.retry_get(request)).await;
        }
        let probed = self.interpret_reply(request.key, reply.and_then(parse_copy));
        if let Probe::Fresh(copy) = &probed.probe
            && probed.is_newly_decoded
        {
            self.remember(request, copy, epoch);
        }
        probed
    }

    /// Retries a read whose connection broke: it is usually back soon, and reads
    /// are safe to repeat. If Redis was unavailable before, nothing waits for it.
    async fn retry_get<T>(&self, request: Request<'_, T>) -> Result<Value, RedisError> {
        let mut reply = Err(RedisError::Unreachable);
        for attempt in 0..RETRIES {
            tokio::time::sleep(RETRY_BACKOFF.random_delay(attempt)).await;
            reply = self.store.run(self.get_command(request.key), request.trace).await;
            if !reply.as_ref().is_err_and(RedisError::is_disconnected) {
                break;
            }
        }
        reply
    }

    /// Whether an invalidation of the key, or of its namespace, is deferred.
    fn is_deferred<T>(&self, key: &Key<T>) -> bool {
        self.store.has_deferred()
            && (self.store.is_deferred(key) || self.store.is_deferred(&keys::tag(key.namespace())))
    }

    /// Reads the copy and the tag.
    pub(crate) fn get_command<T>(&self, key: &Key<T>) -> Command {
        self.store.on("MGET", key).arg(self.tag_key(key.namespace()))
    }

    /// Interprets the reply to [`Self::get_command`].
    pub(crate) fn interpret_reply<T: Cached>(
        &self,
        key: &Key<T>,
        reply: Result<RawCopy, RedisError>,
    ) -> ProbeResult<T> {
        match reply {
            Err(error) => ProbeResult::miss(Miss::Redis(error)),
            // The copy was invalidated while the command was in flight.
            Ok(_) if self.is_deferred(key) => ProbeResult::miss(Miss::Redis(RedisError::Outdated)),
            Ok((bytes, tag)) => self.interpret_entry(key, bytes, tag.unwrap_or_default()),
        }
    }

    fn interpret_entry<T: Cached>(
        &self,
        key: &Key<T>,
        bytes: Option<Vec<u8>>,
        tag: u64,
    ) -> ProbeResult<T> {
        let Some(bytes) = bytes else {
            return ProbeResult { tag, ..ProbeResult::miss(Miss::Empty) };
        };
        let size = bytes.len();
        if size > self.engine.max_entry_bytes {
            return ProbeResult {
                tag,
                ..ProbeResult::miss(Miss::Corrupt("an entry above the size limit"))
            };
        }
        let (content, is_newly_decoded) = match self.decoded.decode(bytes, key) {
            Ok(decoded) => decoded,
            Err(what) => return ProbeResult { tag, ..ProbeResult::miss(Miss::Corrupt(what)) },
        };
        let empty =
            |floor| ProbeResult { floor, tag, is_newly_decoded, ..ProbeResult::miss(Miss::Empty) };
        match &*content {
            Content::Value(value, meta) if meta.tag == tag => ProbeResult {
                probe: self.check_freshness(Some(value), *meta, size),
                ..empty(value.version)
            },
            Content::Value(value, _) => empty(value.version),
            Content::Pending(value) => {
                let (version, value) = (value.version, Some(Arc::clone(&value.value)));
                let copy = CachedCopy { value, version, tag, bytes: size, ..CachedCopy::default() };
                ProbeResult { probe: Probe::Fresh(copy), ..empty(version) }
            }
            Content::Absent(meta) if meta.tag == tag => {
                ProbeResult { probe: self.check_freshness(None, *meta, size), ..empty(0) }
            }
            Content::Absent(_) => empty(0),
            Content::Tombstone { version, invalidated_at } => ProbeResult {
                is_tombstone: true,
                invalidated_at: *invalidated_at,
                ..empty(*version)
            },
        }
    }

    /// Decides by Redis's clock whether a copy is fresh.
    pub(crate) fn check_freshness<T>(
        &self,
        value: Option<&Versioned<Arc<T>>>,
        meta: EntryMeta,
        bytes: usize,
    ) -> Probe<T> {
        let now = self.store.now() / 1000;
        let age = Duration::from_millis(now.saturating_sub(meta.created_at));
        let version = value.map_or(0, |it| it.version);
        let left = meta.ttl.saturating_sub(age);
        let copy = CachedCopy {
            value: value.map(|it| Arc::clone(&it.value)),
            version,
            created_at: meta.created_at,
            age,
            left: Some(left),
            stale_for: Duration::ZERO,
            load_duration: meta.load_duration,
            tag: meta.tag,
            bytes,
            source: Source::Cache,
        };
        // Created far in the future: the clock was set back, and the age is
        // unknown.
        match left.is_zero() || meta.created_at > now + millis(MAX_CLOCK_SKEW) {
            false => Probe::Fresh(copy),
            true => Probe::Miss(Miss::Empty),
        }
    }
}

/// Retries of a read; connecting takes about 20 ms.
const RETRIES: u32 = 2;
const RETRY_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(20), max: Duration::from_millis(60) };
/// How far two processes' estimates of Redis's clock may differ.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);

fn describe<T>(copy: &CachedCopy<T>) -> String {
    match copy.value {
        Some(_) => format!("version {}, {} ms old", copy.version, millis(copy.age)),
        None => format!("known to be absent, {} ms old", millis(copy.age)),
    }
}
