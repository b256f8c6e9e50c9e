//! How a write goes, by whom it tells first. Whatever happens, nobody in this
//! process reads the older value after a write was acknowledged, and nobody
//! anywhere after Redis was told.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::{
    Ask, Cache, Recipe,
    entry::{self, Made},
    failure::{Failure, Fault},
    look::{Look, Seen},
    origin::{Order, Origin, Writable},
    scripts,
};
use crate::{
    broken::{self, Broken},
    clock::{micros, millis},
    keys::{self, Cached, Key},
    store::{Command, Trouble, Value, typed},
    wire::Wire,
};

/// How long the mark of a forgotten version stays at least: longer than any
/// reader may take from its SELECT to its fill, a Redis that was frozen in
/// between included.
const MARK_MIN: Duration = Duration::from_secs(60);
/// The most writes that may wait for the database: some 5 MiB in Redis.
const QUEUE_MAX: usize = 10_000;
/// After this long a write that Redis did not run yet goes another way.
const ENQUEUE_MAX: Duration = Duration::from_millis(250);

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new version; `None` when there was no value to replace.
    pub version: Option<u64>,
    /// What became of the copy in Redis.
    pub effect: Effect,
}

/// What a write did to the copy in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Dropped it, or there was none.
    Forgot(bool),
    /// Replaced it.
    Stored,
    /// Replaced it, and the origin gets it later.
    Queued,
    /// Redis could not be told yet. Nobody here uses the copy meanwhile.
    Owed(Trouble),
}

/// A version that the origin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    /// Its number.
    pub version: u64,
    /// When it was written, in microseconds since 1970 by Redis's clock.
    pub stamp: u64,
}

/// What the cache knew before a write.
struct Known {
    order: Order,
    tag: u64,
    /// How far ahead the stamp may be of Redis's clock.
    ahead: Duration,
}

/// Why a write can't be queued.
enum Unqueued {
    /// Redis says so, or says nothing.
    Trouble(Trouble),
    /// In Redis's own word.
    Refused(String),
}

impl<T, O: Writable<T>> Writable<T> for Arc<O> {
    fn write(
        &self,
        value: &T,
        order: Order,
    ) -> impl Future<Output = Result<Option<u64>, <Self as Origin<T>>::Error>> + Send {
        O::write(self, value, order)
    }
}

impl Cache {
    /// The origin first; then the cache drops what is older.
    pub(super) async fn write_and_forget<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, Failure> {
        let known = self.known(ask).await;
        let changed = self.write_to_origin(ask, value, origin, &known).await;
        let version = match changed {
            Ok(None) => return Ok(Written::nothing()),
            Ok(version) => version,
            // A write that timed out may have happened: the copy must go as well.
            Err(_) => None,
        };
        let newer = version.map(|version| Newer { version, stamp: known.order.stamp });
        let effect = match self.supersede(ask.key, newer, ask.recipe, ask.wire).await {
            Ok(dropped) => Effect::Forgot(dropped),
            Err(trouble) => Effect::Owed(trouble),
        };
        changed.map(|version| Written { version, effect })
    }

    /// The origin first, so that the cache is never newer; then the cache.
    pub(super) async fn write_and_store<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, Failure> {
        let known = self.known(ask).await;
        let changed = self.write_to_origin(ask, value, origin, &known).await;
        let version = match changed {
            Ok(None) => return Ok(Written::nothing()),
            Ok(Some(version)) => version,
            Err(failure) => {
                let _ = self.supersede(ask.key, None, ask.recipe, ask.wire).await;
                return Err(failure);
            }
        };
        let (born, delta) = (self.store.now() / 1000, Duration::ZERO);
        let made = Made { born, ttl: ask.recipe.ttl, delta, tag: known.tag };
        let entry = entry::encode(version, Some(&**value), made);
        let set = self.set(ask.key, version, entry, made.ttl, ask.recipe);
        let newer = Some(Newer { version, stamp: known.order.stamp });
        let stored = self.store.run::<Value>(set, ask.wire).await;
        self.engine.outdate(ask.key);
        let effect = match stored {
            Ok(_) => Effect::Stored,
            Err(_) => match self.supersede(ask.key, newer, ask.recipe, ask.wire).await {
                Ok(dropped) => Effect::Forgot(dropped),
                Err(trouble) => Effect::Owed(trouble),
            },
        };
        Ok(Written { version: Some(version), effect })
    }

    /// Redis now, the origin later. When Redis can't take it, the origin now.
    pub(super) async fn write_later<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
    ) -> Result<Written, Failure> {
        let origin = Arc::new(origin);
        let Some(base) = self.version_of(ask, Arc::clone(&origin)).await? else {
            return Ok(Written::nothing());
        };
        match self.enqueue(ask, value, base).await {
            Ok(version) => {
                self.engine.outdate(ask.key);
                self.engine.pending.added();
                Ok(Written { version: Some(version), effect: Effect::Queued })
            }
            Err(why) => {
                log::debug!("written through: {why:?}");
                self.write_and_forget(ask, value, origin).await
            }
        }
    }

    /// The version that a write follows; `None` when there is no value.
    async fn version_of<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> Result<Option<u64>, Failure> {
        let seen: Seen<T> = self.look(ask).await;
        if let Look::Fresh(held) = &seen.look
            && held.value.is_some()
        {
            return Ok(Some(held.version));
        }
        let (loaded, _) = self.load_shared(ask, &seen, origin).await?;
        Ok(loaded.value.map(|_| loaded.version))
    }

    async fn enqueue<T: Cached>(
        &self,
        ask: Ask<'_, T>,
        value: &T,
        base: u64,
    ) -> Result<u64, Unqueued> {
        let enqueue = self.enqueuing(ask, value, base);
        if broken::is(Broken::AckBeforeRedis) {
            return Ok(self.enqueue_some_time(enqueue, base));
        }
        let (queued, version, _): (u64, Value, Value) = {
            let reply: Vec<Value> =
                self.store.run(enqueue, ask.wire).await.map_err(Unqueued::Trouble)?;
            let mut parts = reply.into_iter();
            let mut next = || parts.next().unwrap_or(Value::Nil);
            (typed(next()).map_err(Unqueued::Trouble)?, next(), next())
        };
        match queued {
            0 => Err(Unqueued::Refused(typed(version).map_err(Unqueued::Trouble)?)),
            _ => typed(version).map_err(Unqueued::Trouble),
        }
    }

    fn enqueuing<T: Cached>(&self, ask: Ask<'_, T>, value: &T, base: u64) -> Command {
        let now = self.store.now();
        let [ttl, delta] = [ask.recipe.ttl, Duration::ZERO];
        let tail = entry::encode_tail(value, Made { born: now / 1000, ttl, delta, tag: 0 });
        let value = serde_json::to_string(value).expect("plain data with text keys is JSON");
        self.store
            .script_on_two(scripts::ENQUEUE, ask.key, &keys::write_behind())
            .arg(base)
            .arg(now + micros(ENQUEUE_MAX))
            .arg(QUEUE_MAX)
            .arg(ask.key.as_str())
            .arg(tail)
            .arg(value)
    }

    /// Deliberately wrong: acknowledges what only this process knows.
    fn enqueue_some_time(&self, enqueue: Command, base: u64) -> u64 {
        let store = self.store.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            let _ = store.run::<Value>(enqueue, &Wire::off()).await;
        });
        base + 1
    }

    /// What the cache knows of the key before a write: the version it may not
    /// fall behind, and the time. Without Redis, nothing and our idea of it.
    async fn known<T: Cached>(&self, ask: Ask<'_, T>) -> Known {
        let held = self.store.removing_script(scripts::HELD, ask.key);
        let tag = self.store.read("GET", &keys::tag(ask.key.family()));
        let Ok([held, tag]) = self.store.run_all([held, tag], ask.wire).await else {
            return self.unknown();
        };
        let Ok((floor, stamp)) = held.and_then(typed::<(u64, u64)>) else { return self.unknown() };
        let tag = tag.and_then(typed::<Option<u64>>).ok().flatten().unwrap_or_default();
        Known { order: Order { floor, stamp }, tag, ahead: Duration::ZERO }
    }

    /// Without Redis the stamp is the latest that its clock may show, so that
    /// the write counts as later than all that were acknowledged before.
    fn unknown(&self) -> Known {
        let error = self.store.clock_error();
        let order = Order { floor: 0, stamp: self.store.now() + micros(error) };
        Known { order, tag: 0, ahead: 2 * error }
    }

    /// In a task of its own: a write that takes longer than the caller waits
    /// may still be made, and then the cache must hear of it.
    async fn write_to_origin<T: Cached, O: Writable<T>>(
        &self,
        ask: Ask<'_, T>,
        value: &Arc<T>,
        origin: O,
        known: &Known,
    ) -> Result<Option<u64>, Failure> {
        let (value, order, ahead) = (Arc::clone(value), known.order, known.ahead);
        let mut writing = tokio::spawn(async move {
            let changed = origin.write(&value, order).await;
            // Whatever is acknowledged after this write has a later stamp
            // (commit wait: Corbett et al., "Spanner", OSDI 2012).
            tokio::time::sleep(ahead).await;
            changed
        });
        match tokio::time::timeout(ask.recipe.hard_timeout, &mut writing).await {
            Ok(Ok(changed)) => changed.map_err(Failure::of),
            Ok(Err(_)) => Err(Failure::BrokeOff),
            Err(_) => {
                self.supersede_when_written(ask, order.stamp, writing);
                Err(Failure::TimedOut)
            }
        }
    }

    fn supersede_when_written<T: Cached, E: Fault>(
        &self,
        ask: Ask<'_, T>,
        stamp: u64,
        writing: JoinHandle<Result<Option<u64>, E>>,
    ) {
        let (cache, key, recipe) = (self.clone(), ask.key.clone(), *ask.recipe);
        tokio::spawn(async move {
            if let Ok(Ok(Some(version))) = writing.await {
                let newer = Some(Newer { version, stamp });
                let _ = cache.supersede(&key, newer, &recipe, &Wire::off()).await;
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
        newer: Option<Newer>,
        recipe: &Recipe,
        wire: &Wire,
    ) -> Result<bool, Trouble> {
        let forgetting = self.forgetting(key, newer, recipe);
        let dropped: Result<i64, Trouble> = self.store.settle(key, forgetting, wire).await;
        self.engine.outdate(key);
        dropped.map(|dropped| dropped == 1)
    }

    /// The same, as soon as Redis can be told; until then the copy is not used.
    pub fn supersede_later<T>(&self, key: &Key<T>, newer: Newer, recipe: &Recipe) {
        self.store.owe_later(key, self.forgetting(key, Some(newer), recipe));
        self.engine.outdate(key);
    }

    pub(super) fn forgetting<T>(
        &self,
        key: &Key<T>,
        newer: Option<Newer>,
        recipe: &Recipe,
    ) -> Command {
        let (good, stamp) = newer.map_or((-1, 0), |it| (it.version.cast_signed(), it.stamp));
        let forget = self.store.removing_script(scripts::FORGET, key);
        forget.arg(good).arg(mark_ttl(recipe)).arg(stamp)
    }
}

/// In milliseconds: as long as any process may hold a copy, its grace included.
pub(super) fn mark_ttl(recipe: &Recipe) -> u64 {
    millis(MARK_MIN.max(recipe.ttl + recipe.grace))
}

impl Written {
    fn nothing() -> Self {
        Self { version: None, effect: Effect::Forgot(false) }
    }
}

impl std::fmt::Debug for Unqueued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Trouble(trouble) => write!(f, "{trouble}"),
            Self::Refused(word) => f.write_str(word),
        }
    }
}
