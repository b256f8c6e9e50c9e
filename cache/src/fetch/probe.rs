//! Looking for a copy: in this process, then in Redis.

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

/// What a look found, and what it learned on the way.
pub struct ProbeResult<T> {
    /// The copy, or none.
    pub probe: Probe<T>,
    /// No value below this version is good any more.
    pub floor: u64,
    /// The generation of the tag, for a copy made from now on.
    pub tag: u64,
    /// Whether somebody dropped the copy since it was made.
    pub is_tombstone: bool,
    /// When somebody asked for that, in microseconds of Redis's clock; else 0.
    pub invalidated_at: u64,
    /// Whether this process did not see the copy before.
    pub is_newly_decoded: bool,
}

/// A copy past its TTL.
pub struct StaleCopy<T> {
    /// The copy.
    pub copy: CachedCopy<T>,
    /// Why Redis could not say whether anything is newer, if it could not.
    pub error: Option<RedisError>,
}

/// What was found.
pub enum Probe<T> {
    /// A copy within its TTL.
    Fresh(CachedCopy<T>),
    /// Nothing usable.
    Miss(Miss),
}

/// Why there was nothing usable.
#[derive(Debug, Clone)]
pub enum Miss {
    /// Nobody asked.
    Bypassed,
    /// There is nothing.
    Empty,
    /// Something that is no such value: overwritten by the fill, told once.
    Corrupt(&'static str),
    /// Redis could not say.
    Redis(RedisError),
}

impl<T> ProbeResult<T> {
    /// Nothing usable, and nothing learned.
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

/// The bytes of a copy, and the generation of its tag.
pub type RawCopy = (Option<Vec<u8>>, Option<u64>);

/// Both, out of the reply to [`Cache::getting`].
pub fn parse_copy(reply: Value) -> Result<RawCopy, RedisError> {
    let Value::Array(parts) = reply else { return typed(reply) };
    let mut parts = parts.into_iter();
    let (copy, tag) = (parts.next().unwrap_or(Value::Nil), parts.next().unwrap_or(Value::Nil));
    let copy = match copy {
        Value::BulkString(bytes) => Some(bytes),
        other => typed(other)?,
    };
    // A tag that is no number was not set by us: the first one mends it.
    Ok((copy, typed(tag).unwrap_or_default()))
}

impl Cache {
    /// Looks where the policy allows.
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

    /// A copy of this process past its TTL that may still be served: nothing
    /// is known of a newer version or of an invalidation. Redis is asked for
    /// that only when there is such a copy. O(1).
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

    /// Remembers a copy for its grace, unless it was outdated since `epoch`.
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

    /// Copy and tag in one round trip. O(1).
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

    /// A connection that breaks under the question is soon there again, and
    /// asking twice harms nobody. A Redis that was away before is not waited for.
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

    /// Whether what Redis holds under the key, or of its namespace, is known to be
    /// outdated.
    fn is_deferred<T>(&self, key: &Key<T>) -> bool {
        self.store.has_deferred()
            && (self.store.is_deferred(key) || self.store.is_deferred(&keys::tag(key.namespace())))
    }

    /// The command that asks for copy and tag.
    pub(crate) fn get_command<T>(&self, key: &Key<T>) -> Command {
        self.store.on("MGET", key).arg(self.tag_key(key.namespace()))
    }

    /// What its reply means.
    pub(crate) fn interpret_reply<T: Cached>(
        &self,
        key: &Key<T>,
        reply: Result<RawCopy, RedisError>,
    ) -> ProbeResult<T> {
        match reply {
            Err(error) => ProbeResult::miss(Miss::Redis(error)),
            // The copy was taken back while the question was on its way.
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

    /// Fresh or not, by Redis's clock.
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
        // Born far in the future: a clock was set back, and the age is unknown.
        match left.is_zero() || meta.created_at > now + millis(MAX_CLOCK_SKEW) {
            false => Probe::Fresh(copy),
            true => Probe::Miss(Miss::Empty),
        }
    }
}

/// How often a question is asked again, and when: connecting takes some 20 ms.
const RETRIES: u32 = 2;
const RETRY_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(20), max: Duration::from_millis(60) };
/// How far two processes' ideas of Redis's clock may be apart.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(2);

fn describe<T>(copy: &CachedCopy<T>) -> String {
    match copy.value {
        Some(_) => format!("version {}, {} ms old", copy.version, millis(copy.age)),
        None => format!("known to be absent, {} ms old", millis(copy.age)),
    }
}
