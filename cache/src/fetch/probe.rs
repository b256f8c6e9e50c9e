//! Looking for a copy: in this process, then in Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Ask, Cache, Cached, Key, Source, Versioned,
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
    pub gone: bool,
    /// When somebody asked for that, in microseconds of Redis's clock; else 0.
    pub dropped: u64,
    /// Whether this process did not see the copy before.
    pub is_new: bool,
}

/// A copy past its TTL.
pub struct StaleCopy<T> {
    /// The copy.
    pub held: CachedCopy<T>,
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
    RedisError(RedisError),
}

impl<T> ProbeResult<T> {
    /// Nothing usable, and nothing learned.
    pub fn miss(miss: Miss) -> Self {
        Self { probe: Probe::Miss(miss), floor: 0, tag: 0, gone: false, dropped: 0, is_new: false }
    }
}

/// The bytes of a copy, and the generation of its tag.
pub type Copied = (Option<Vec<u8>>, Option<u64>);

/// Both, out of the reply to [`Cache::getting`].
pub fn copied(reply: Value) -> Result<Copied, RedisError> {
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
    pub(crate) async fn probe<T: Cached>(&self, ask: Ask<'_, T>) -> ProbeResult<T> {
        let Some(near_ttl) = ask.policy.near else { return self.probe_redis(ask).await };
        let (name, near, since) = (ask.key.as_str(), &self.engine.near, Instant::now());
        if let Some(held) = near.get(name, self.store.is_away()) {
            ask.trace.event(Target::Memory, since, "look in the near cache", || told(&held));
            let (floor, tag) = (held.version, held.tag);
            return ProbeResult {
                floor,
                tag,
                probe: Probe::Fresh(held),
                ..ProbeResult::miss(Miss::Bypassed)
            };
        }
        ask.trace.event(Target::Memory, since, "look in the near cache", || "nothing".to_owned());
        let before = near.epoch(name);
        let seen = self.probe_redis(ask).await;
        if let Probe::Fresh(held) = &seen.probe
            && held.left.is_some()
        {
            near.keep(name, held.clone(), near_ttl, before);
        }
        seen
    }

    /// A copy of this process past its TTL that may still be served: nothing
    /// is known of a newer version or of an invalidation. Redis is asked for
    /// that only when there is such a copy. O(1).
    pub(crate) async fn probe_stale<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
    ) -> Option<StaleCopy<T>> {
        let grace = ask.policy.grace;
        let held = (!grace.is_zero()).then(|| self.engine.grace.get::<T>(ask.key.as_str()))?;
        let held = held.filter(|held| held.value.is_some() && held.past < grace)?;
        match &seen.probe {
            Probe::Miss(Miss::RedisError(RedisError::Outdated)) => return None,
            Probe::Miss(Miss::RedisError(error)) => {
                return Some(StaleCopy { held, error: Some(error.clone()) });
            }
            _ if seen.gone || held.version < seen.floor || held.tag != seen.tag => return None,
            _ => (),
        }
        let edited = self.store.on("GET", &keys::edited(ask.key));
        match self.store.run::<Option<u64>>(edited, ask.trace).await {
            Ok(floor) if held.version < floor.unwrap_or_default() => None,
            outcome => Some(StaleCopy { held, error: outcome.err() }),
        }
    }

    /// Remembers a copy for its grace, unless it was outdated since `epoch`.
    pub(crate) fn remember<T: Cached>(&self, ask: Ask<'_, T>, held: &CachedCopy<T>, epoch: Epoch) {
        let (name, grace) = (ask.key.as_str(), ask.policy.grace);
        let Some(left) = held.left.filter(|_| !grace.is_zero() && held.value.is_some()) else {
            return;
        };
        let copies = &self.engine.grace;
        self.engine.near.if_unchanged(name, epoch, || {
            let known = copies.get::<T>(name);
            let is_newer = |known: CachedCopy<T>| {
                (known.version, known.created_at) < (held.version, held.created_at)
                    || known.tag != held.tag
            };
            if known.is_none_or(is_newer) {
                copies.keep(name, held.clone(), left + grace);
            }
        });
    }

    /// Copy and tag in one round trip. O(1).
    async fn probe_redis<T: Cached>(&self, ask: Ask<'_, T>) -> ProbeResult<T> {
        if self.is_deferred(ask.key) {
            return ProbeResult::miss(Miss::RedisError(RedisError::Outdated));
        }
        let before = self.engine.near.epoch(ask.key.as_str());
        let was_there = !self.store.is_away();
        let mut reply = self.store.run::<Value>(self.getting(ask.key), ask.trace).await;
        if was_there && reply.as_ref().is_err_and(RedisError::is_away) {
            reply = Box::pin(self.get_again(ask)).await;
        }
        let seen = self.answered(ask.key, reply.and_then(copied));
        if let Probe::Fresh(held) = &seen.probe
            && seen.is_new
        {
            self.remember(ask, held, before);
        }
        seen
    }

    /// A connection that breaks under the question is soon there again, and
    /// asking twice harms nobody. A Redis that was away before is not waited for.
    async fn get_again<T>(&self, ask: Ask<'_, T>) -> Result<Value, RedisError> {
        let mut reply = Err(RedisError::Unreachable);
        for attempt in 0..RETRIES {
            tokio::time::sleep(AGAIN.draw(attempt)).await;
            reply = self.store.run(self.getting(ask.key), ask.trace).await;
            if !reply.as_ref().is_err_and(RedisError::is_away) {
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
    pub(crate) fn getting<T>(&self, key: &Key<T>) -> Command {
        self.store.on("MGET", key).arg(self.tag_name(key.namespace()))
    }

    /// What its reply means.
    pub(crate) fn answered<T: Cached>(
        &self,
        key: &Key<T>,
        reply: Result<Copied, RedisError>,
    ) -> ProbeResult<T> {
        match reply {
            Err(error) => ProbeResult::miss(Miss::RedisError(error)),
            // The copy was taken back while the question was on its way.
            Ok(_) if self.is_deferred(key) => {
                ProbeResult::miss(Miss::RedisError(RedisError::Outdated))
            }
            Ok((bytes, tag)) => self.understood(key, bytes, tag.unwrap_or_default()),
        }
    }

    fn understood<T: Cached>(
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
            return ProbeResult { tag, ..ProbeResult::miss(Miss::Corrupt("too large a value")) };
        }
        let (content, is_new) = match self.decoded.decode(bytes, key) {
            Ok(decoded) => decoded,
            Err(what) => return ProbeResult { tag, ..ProbeResult::miss(Miss::Corrupt(what)) },
        };
        let empty = |floor| ProbeResult { floor, tag, is_new, ..ProbeResult::miss(Miss::Empty) };
        match &*content {
            Content::Value(value, made) if made.tag == tag => ProbeResult {
                probe: self.entry_meta(Some(value), *made, size),
                ..empty(value.version)
            },
            Content::Value(value, _) => empty(value.version),
            Content::Pending(value) => {
                let (version, value) = (value.version, Some(Arc::clone(&value.value)));
                let held = CachedCopy { value, version, tag, bytes: size, ..CachedCopy::default() };
                ProbeResult { probe: Probe::Fresh(held), ..empty(version) }
            }
            Content::Absent(made) if made.tag == tag => {
                ProbeResult { probe: self.entry_meta(None, *made, size), ..empty(0) }
            }
            Content::Absent(_) => empty(0),
            Content::Tombstone(version, at) => {
                ProbeResult { gone: true, dropped: *at, ..empty(*version) }
            }
        }
    }

    /// Fresh or not, by Redis's clock.
    pub(crate) fn entry_meta<T>(
        &self,
        value: Option<&Versioned<Arc<T>>>,
        made: EntryMeta,
        bytes: usize,
    ) -> Probe<T> {
        let now = self.store.now() / 1000;
        let age = Duration::from_millis(now.saturating_sub(made.created_at));
        let version = value.map_or(0, |it| it.version);
        let left = made.ttl.saturating_sub(age);
        let held = CachedCopy {
            value: value.map(|it| Arc::clone(&it.value)),
            version,
            created_at: made.created_at,
            age,
            left: Some(left),
            past: Duration::ZERO,
            load_duration: made.load_duration,
            tag: made.tag,
            bytes,
            source: Source::Cache,
        };
        // Born far in the future: a clock was set back, and the age is unknown.
        match left.is_zero() || made.created_at > now + millis(FUTURE) {
            false => Probe::Fresh(held),
            true => Probe::Miss(Miss::Empty),
        }
    }
}

/// How often a question is asked again, and when: connecting takes some 20 ms.
const RETRIES: u32 = 2;
const AGAIN: Backoff = Backoff { base: Duration::from_millis(20), most: Duration::from_millis(60) };
/// How far two processes' ideas of Redis's clock may be apart.
const FUTURE: Duration = Duration::from_secs(2);

fn told<T>(held: &CachedCopy<T>) -> String {
    match held.value {
        Some(_) => format!("version {}, {} ms old", held.version, millis(held.age)),
        None => format!("known to be missing, for {} ms", millis(held.age)),
    }
}
