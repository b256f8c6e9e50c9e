//! Looks for a copy in this process, then in Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Codec, Namespace, Source, Versioned,
    entry::{Content, EntryMeta, UnusableEntry},
    fetch::{lookup::Lookup, retry::Backoff},
    keys,
    local::cached_copy::CachedCopy,
    redis::{Command, Key, RedisError, Value, typed},
    time::millis,
    trace::Target,
};

/// The result of a probe.
pub struct ProbeResult<T> {
    /// The copy, or why there is none.
    pub probe: Probe<T>,
    /// The lowest acceptable version of a load; 0 if the origin has none.
    pub floor: u64,
    /// A load must have begun at this time or later, in microseconds by Redis's clock: when
    /// the key was invalidated, or when the load of a copy without a version began.
    pub since: u64,
    /// The current generation of the namespace's tag, for a copy loaded from now on.
    /// `None` if it has none yet, or lost it: then every copy is out of date.
    pub tag: Option<u64>,
    /// Whether Redis holds a tombstone: the copy was invalidated.
    pub is_tombstone: bool,
    /// Whether this process has not kept the copy for its grace period yet.
    pub is_newly_decoded: bool,
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
    /// The bytes are not an entry of this namespace. The fill overwrites them.
    Corrupt(UnusableEntry),
    /// Redis failed.
    Redis(RedisError),
}

impl<T> ProbeResult<T> {
    /// A miss about which nothing else is known.
    pub fn miss(miss: Miss) -> Self {
        Self {
            probe: Probe::Miss(miss),
            floor: 0,
            since: 0,
            tag: None,
            is_tombstone: false,
            is_newly_decoded: false,
        }
    }
}

/// The bytes of an entry, and the generation of its tag.
pub type RawCopy = (Option<Vec<u8>>, Option<u64>);

/// Parses the reply to [`Namespace::get_command`].
pub fn parse_copy(reply: Value) -> Result<RawCopy, RedisError> {
    let Value::Array(parts) = reply else { return typed(reply) };
    let mut parts = parts.into_iter();
    let (copy, tag) = (parts.next().unwrap_or(Value::Nil), parts.next().unwrap_or(Value::Nil));
    let copy = match copy {
        Value::BulkString(bytes) => Some(bytes),
        other => typed(other)?,
    };
    // A tag that is not a number was not set by the cache; the next generation replaces
    // it.
    Ok((copy, typed(tag).unwrap_or_default()))
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Looks for a copy in the caches that the policy uses.
    pub(crate) async fn probe(&self, key: &Key<T>) -> ProbeResult<T> {
        let Some(near_ttl) = self.policy.near else { return self.probe_redis(key).await };
        let (name, near, since) = (key.as_str(), &self.shared().near, Instant::now());
        if let Some(copy) = near.get(name, self.client().is_unavailable()) {
            self.trace.event(Target::Memory, since, "look up the near cache", || describe(&copy));
            let (floor, tag) = (copy.version, Some(copy.tag));
            return ProbeResult {
                floor,
                tag,
                probe: Probe::Fresh(copy),
                ..ProbeResult::miss(Miss::Bypassed)
            };
        }
        self.trace.event(Target::Memory, since, "look up the near cache", || "miss".to_owned());
        let epoch = near.epoch(name);
        let probed = self.probe_redis(key).await;
        if let Probe::Fresh(copy) = &probed.probe
            && copy.left.is_some()
        {
            near.insert(name, copy.clone(), near_ttl, epoch);
        }
        probed
    }

    /// The fresh copy of a key, if there is one.
    pub(crate) async fn look_for_copy(&self, key: &Key<T>) -> Option<Lookup<T>> {
        let is_bypassed = self.policy.is_bypassed || self.shared().is_off;
        let probed = if is_bypassed { None } else { Some(self.probe(key).await) };
        match probed?.probe {
            Probe::Fresh(copy) => Some(self.lookup_from_copy(key, copy)),
            Probe::Miss(_) => None,
        }
    }

    /// Reads the copy and the tag in one round trip. O(1).
    async fn probe_redis(&self, key: &Key<T>) -> ProbeResult<T> {
        if self.is_deferred(key) {
            return ProbeResult::miss(Miss::Redis(RedisError::Outdated));
        }
        let epoch = self.shared().near.epoch(key.as_str());
        let was_available = !self.client().is_unavailable();
        let mut reply = self.client().run::<Value>(self.get_command(key), &self.trace).await;
        if was_available && reply.as_ref().is_err_and(RedisError::is_disconnected) {
            reply = Box::pin(self.retry_get(key)).await;
        }
        let probed = self.interpret_reply(key, reply.and_then(parse_copy));
        let Probe::Fresh(copy) = &probed.probe else { return probed };
        let miss = match self.are_current(&copy.tags).await {
            Ok(true) => {
                if probed.is_newly_decoded {
                    self.remember(key, copy, epoch);
                }
                return probed;
            }
            Ok(false) => Miss::Empty,
            Err(error) => Miss::Redis(error),
        };
        ProbeResult { probe: Probe::Miss(miss), ..probed }
    }

    /// Retries a read whose connection broke: it is usually back soon, and reads
    /// are safe to repeat. If Redis was unavailable before, nothing waits for it.
    async fn retry_get(&self, key: &Key<T>) -> Result<Value, RedisError> {
        let mut reply = Err(RedisError::Unreachable);
        for attempt in 0..RETRIES {
            tokio::time::sleep(RETRY_BACKOFF.random_delay(attempt)).await;
            reply = self.client().run(self.get_command(key), &self.trace).await;
            if !reply.as_ref().is_err_and(RedisError::is_disconnected) {
                break;
            }
        }
        reply
    }

    /// Whether an invalidation of the key, or of its namespace, is deferred.
    pub(crate) fn is_deferred(&self, key: &Key<T>) -> bool {
        let client = self.client();
        client.has_deferred()
            && (client.is_deferred(key) || client.is_deferred(&keys::tag(self.name())))
    }

    /// Reads the copy and the tag.
    pub(crate) fn get_command(&self, key: &Key<T>) -> Command {
        self.client().on("MGET", key).arg(&self.state().tag)
    }

    /// Interprets the reply to [`Self::get_command`].
    pub(crate) fn interpret_reply(
        &self,
        key: &Key<T>,
        reply: Result<RawCopy, RedisError>,
    ) -> ProbeResult<T> {
        match reply {
            Err(error) => ProbeResult::miss(Miss::Redis(error)),
            // The copy was invalidated while the command was in flight.
            Ok(_) if self.is_deferred(key) => ProbeResult::miss(Miss::Redis(RedisError::Outdated)),
            Ok((bytes, tag)) => self.interpret_entry(key, bytes, tag),
        }
    }

    fn interpret_entry(
        &self,
        key: &Key<T>,
        bytes: Option<Vec<u8>>,
        tag: Option<u64>,
    ) -> ProbeResult<T> {
        let miss = |miss| ProbeResult { tag, ..ProbeResult::miss(miss) };
        let Some(bytes) = bytes else { return miss(Miss::Empty) };
        let size = bytes.len();
        if size > self.shared().max_entry_bytes {
            let unusable = UnusableEntry::new("an entry above the size limit", &bytes);
            return miss(Miss::Corrupt(unusable));
        }
        let (name, memo) = (key.as_str(), &self.cache().connection.decoded);
        let epoch = self.shared().near.epoch(name).stripe();
        match memo.decode(&self.codec, bytes, name, epoch) {
            Err(unusable) => miss(Miss::Corrupt(unusable)),
            Ok((content, is_newly_decoded)) => {
                ProbeResult { is_newly_decoded, ..self.interpret_content(&content, size, tag) }
            }
        }
    }

    fn interpret_content(
        &self,
        content: &Content<T>,
        size: usize,
        tag: Option<u64>,
    ) -> ProbeResult<T> {
        let empty =
            |floor, since| ProbeResult { floor, since, tag, ..ProbeResult::miss(Miss::Empty) };
        let checked = |value, meta: &EntryMeta, floor| {
            let empty = empty(floor, meta.at);
            match Some(meta.tag) == tag {
                true => ProbeResult { probe: self.check_freshness(value, meta, size), ..empty },
                false => empty,
            }
        };
        match content {
            Content::Value(value, meta) => {
                checked(Some(value), meta, if meta.at == 0 { value.version } else { 0 })
            }
            Content::Absent(meta) => checked(None, meta, 0),
            Content::Pending(value) => {
                let (version, value) = (value.version, Some(Arc::clone(&value.value)));
                let tag = tag.unwrap_or_default();
                let copy = CachedCopy { value, version, tag, bytes: size, ..CachedCopy::default() };
                ProbeResult { probe: Probe::Fresh(copy), ..empty(version, 0) }
            }
            Content::Tombstone { version, invalidated_at } => {
                ProbeResult { is_tombstone: true, ..empty(*version, *invalidated_at) }
            }
        }
    }

    /// Decides by Redis's clock whether a copy is fresh.
    pub(crate) fn check_freshness(
        &self,
        value: Option<&Versioned<Arc<T>>>,
        meta: &EntryMeta,
        bytes: usize,
    ) -> Probe<T> {
        let now = self.client().now() / 1000;
        let age = Duration::from_millis(now.saturating_sub(meta.created_at));
        let version = value.map_or(0, |it| it.version);
        let left = meta.ttl.saturating_sub(age);
        let copy = CachedCopy {
            value: value.map(|it| Arc::clone(&it.value)),
            version,
            created_at: meta.created_at,
            loaded_since: meta.loaded_since(),
            age,
            left: Some(left),
            stale_for: Duration::ZERO,
            load_duration: meta.load_duration,
            tag: meta.tag,
            tags: meta.tags.clone(),
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
