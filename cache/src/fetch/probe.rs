//! Looking for a copy: in this process, then in Redis.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Ask, Cache, Cached, Key, Source, Versioned,
    entry::{Content, Made},
    fetch::retry::Backoff,
    keys,
    local::{cached_copy::CachedCopy, near::Before},
    redis::{Command, Trouble, Value, typed},
    time::millis,
    trace::Target,
};

/// What a look found, and what it learned on the way.
pub struct Seen<T> {
    /// The copy, or none.
    pub look: Look<T>,
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
pub struct Past<T> {
    /// The copy.
    pub held: CachedCopy<T>,
    /// Why Redis could not say whether anything is newer, if it could not.
    pub trouble: Option<Trouble>,
}

/// What was found.
pub enum Look<T> {
    /// A copy within its TTL.
    Fresh(CachedCopy<T>),
    /// Nothing usable.
    Miss(Miss),
}

/// Why there was nothing usable.
#[derive(Debug, Clone)]
pub enum Miss {
    /// Nobody asked.
    Unasked,
    /// There is nothing.
    Empty,
    /// Something that is no such value: overwritten by the fill, told once.
    Garbage(&'static str),
    /// Redis could not say.
    Trouble(Trouble),
}

impl<T> Seen<T> {
    /// Nothing usable, and nothing learned.
    pub fn miss(miss: Miss) -> Self {
        Self { look: Look::Miss(miss), floor: 0, tag: 0, gone: false, dropped: 0, is_new: false }
    }
}

/// The bytes of a copy, and the generation of its tag.
pub type Copied = (Option<Vec<u8>>, Option<u64>);

/// Both, out of the reply to [`Cache::getting`].
pub fn copied(reply: Value) -> Result<Copied, Trouble> {
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
    /// Looks where the recipe allows.
    pub(crate) async fn look<T: Cached>(&self, ask: Ask<'_, T>) -> Seen<T> {
        let Some(near_ttl) = ask.recipe.near else { return self.look_in_redis(ask).await };
        let (name, near, since) = (ask.key.as_str(), &self.engine.near, Instant::now());
        if let Some(held) = near.get(name, self.store.is_away()) {
            ask.wire.tell(Target::Memory, since, "look in the near cache", || told(&held));
            let (floor, tag) = (held.version, held.tag);
            return Seen { floor, tag, look: Look::Fresh(held), ..Seen::miss(Miss::Unasked) };
        }
        ask.wire.tell(Target::Memory, since, "look in the near cache", || "nothing".to_owned());
        let before = near.before(name);
        let seen = self.look_in_redis(ask).await;
        if let Look::Fresh(held) = &seen.look
            && held.left.is_some()
        {
            near.keep(name, held.clone(), near_ttl, before);
        }
        seen
    }

    /// A copy of this process past its TTL that may still be served: nothing
    /// is known of a newer version or of an invalidation. Redis is asked for
    /// that only when there is such a copy. O(1).
    pub(crate) async fn look_for_past<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        seen: &Seen<T>,
    ) -> Option<Past<T>> {
        let grace = ask.recipe.grace;
        let held = (!grace.is_zero()).then(|| self.engine.grace.get::<T>(ask.key.as_str()))?;
        let held = held.filter(|held| held.value.is_some() && held.past < grace)?;
        match &seen.look {
            Look::Miss(Miss::Trouble(Trouble::Outdated)) => return None,
            Look::Miss(Miss::Trouble(trouble)) => {
                return Some(Past { held, trouble: Some(trouble.clone()) });
            }
            _ if seen.gone || held.version < seen.floor || held.tag != seen.tag => return None,
            _ => (),
        }
        let edited = self.store.on("GET", &keys::edited(ask.key));
        match self.store.run::<Option<u64>>(edited, ask.wire).await {
            Ok(floor) if held.version < floor.unwrap_or_default() => None,
            outcome => Some(Past { held, trouble: outcome.err() }),
        }
    }

    /// Remembers a copy for its grace, unless it was outdated since `before`.
    pub(crate) fn remember<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        held: &CachedCopy<T>,
        before: Before,
    ) {
        let (name, grace) = (ask.key.as_str(), ask.recipe.grace);
        let Some(left) = held.left.filter(|_| !grace.is_zero() && held.value.is_some()) else {
            return;
        };
        let copies = &self.engine.grace;
        self.engine.near.unless_changed(name, before, || {
            let known = copies.get::<T>(name);
            let is_newer = |known: CachedCopy<T>| {
                (known.version, known.born) < (held.version, held.born) || known.tag != held.tag
            };
            if known.is_none_or(is_newer) {
                copies.keep(name, held.clone(), left + grace);
            }
        });
    }

    /// Copy and tag in one round trip. O(1).
    async fn look_in_redis<T: Cached>(&self, ask: Ask<'_, T>) -> Seen<T> {
        if self.owes(ask.key) {
            return Seen::miss(Miss::Trouble(Trouble::Outdated));
        }
        let before = self.engine.near.before(ask.key.as_str());
        let was_there = !self.store.is_away();
        let mut reply = self.store.run::<Value>(self.getting(ask.key), ask.wire).await;
        if was_there && reply.as_ref().is_err_and(Trouble::is_away) {
            reply = Box::pin(self.get_again(ask)).await;
        }
        let seen = self.answered(ask.key, reply.and_then(copied));
        if let Look::Fresh(held) = &seen.look
            && seen.is_new
        {
            self.remember(ask, held, before);
        }
        seen
    }

    /// A connection that breaks under the question is soon there again, and
    /// asking twice harms nobody. A Redis that was away before is not waited for.
    async fn get_again<T>(&self, ask: Ask<'_, T>) -> Result<Value, Trouble> {
        let mut reply = Err(Trouble::Away);
        for attempt in 0..RETRIES {
            tokio::time::sleep(AGAIN.draw(attempt)).await;
            reply = self.store.run(self.getting(ask.key), ask.wire).await;
            if !reply.as_ref().is_err_and(Trouble::is_away) {
                break;
            }
        }
        reply
    }

    /// Whether what Redis holds under the key, or of its namespace, is known to be
    /// outdated.
    fn owes<T>(&self, key: &Key<T>) -> bool {
        self.store.owes_any()
            && (self.store.owes(key) || self.store.owes(&keys::tag(key.namespace())))
    }

    /// The command that asks for copy and tag.
    pub(crate) fn getting<T>(&self, key: &Key<T>) -> Command {
        self.store.on("MGET", key).arg(self.tag_name(key.namespace()))
    }

    /// What its reply means.
    pub(crate) fn answered<T: Cached>(
        &self,
        key: &Key<T>,
        reply: Result<Copied, Trouble>,
    ) -> Seen<T> {
        match reply {
            Err(trouble) => Seen::miss(Miss::Trouble(trouble)),
            // The copy was taken back while the question was on its way.
            Ok(_) if self.owes(key) => Seen::miss(Miss::Trouble(Trouble::Outdated)),
            Ok((bytes, tag)) => self.understood(key, bytes, tag.unwrap_or_default()),
        }
    }

    fn understood<T: Cached>(&self, key: &Key<T>, bytes: Option<Vec<u8>>, tag: u64) -> Seen<T> {
        let Some(bytes) = bytes else { return Seen { tag, ..Seen::miss(Miss::Empty) } };
        let size = bytes.len();
        if size > self.engine.max_entry_bytes {
            return Seen { tag, ..Seen::miss(Miss::Garbage("too large a value")) };
        }
        let (content, is_new) = match self.memo.decode(bytes, key) {
            Ok(decoded) => decoded,
            Err(what) => return Seen { tag, ..Seen::miss(Miss::Garbage(what)) },
        };
        let empty = |floor| Seen { floor, tag, is_new, ..Seen::miss(Miss::Empty) };
        match &*content {
            Content::Value(value, made) if made.tag == tag => {
                Seen { look: self.dated(Some(value), *made, size), ..empty(value.version) }
            }
            Content::Value(value, _) => empty(value.version),
            Content::Pending(value) => {
                let (version, value) = (value.version, Some(Arc::clone(&value.value)));
                let held = CachedCopy { value, version, tag, bytes: size, ..CachedCopy::default() };
                Seen { look: Look::Fresh(held), ..empty(version) }
            }
            Content::Absent(made) if made.tag == tag => {
                Seen { look: self.dated(None, *made, size), ..empty(0) }
            }
            Content::Absent(_) => empty(0),
            Content::Gone(version, at) => Seen { gone: true, dropped: *at, ..empty(*version) },
        }
    }

    /// Fresh or not, by Redis's clock.
    pub(crate) fn dated<T>(
        &self,
        value: Option<&Versioned<Arc<T>>>,
        made: Made,
        bytes: usize,
    ) -> Look<T> {
        let now = self.store.now() / 1000;
        let age = Duration::from_millis(now.saturating_sub(made.born));
        let version = value.map_or(0, |it| it.version);
        let left = made.ttl.saturating_sub(age);
        let held = CachedCopy {
            value: value.map(|it| Arc::clone(&it.value)),
            version,
            born: made.born,
            age,
            left: Some(left),
            past: Duration::ZERO,
            delta: made.delta,
            tag: made.tag,
            bytes,
            source: Source::Cache,
        };
        // Born far in the future: a clock was set back, and the age is unknown.
        match left.is_zero() || made.born > now + millis(FUTURE) {
            false => Look::Fresh(held),
            true => Look::Miss(Miss::Empty),
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
