//! Loading a value from its origin, and what holds on the way: one load at a
//! time for all who ask, a turn at the origin, deadlines, and the fill.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{error::Elapsed, timeout};

use crate::{
    Ask, Cache, CachePolicy, Cached, Key, Source, Versioned,
    entry::{self, EntryMeta},
    error::FetchError,
    fetch::{
        lease::Lease,
        loaded::Loaded,
        lookup::Fill,
        probe::{self, Miss, Probe, ProbeResult},
        retry::Backoff,
        single_flight::{Leader, Waiter},
    },
    local::cached_copy::CachedCopy,
    origin::Origin,
    redis::{Command, RedisError, Value},
    trace::{Target, Trace},
};

/// Loads that failed by a passing fault are tried so many times in all.
const ATTEMPTS: u32 = 3;
/// And only while a visitor has not waited long.
const WITHIN: Duration = Duration::from_millis(150);
/// Between them: a lock is held for milliseconds.
const AGAIN: Backoff =
    Backoff { base: Duration::from_millis(20), most: Duration::from_millis(200) };

/// A load that was decided on: everything it takes, owned, so that it can go
/// on without the one who asked.
pub(crate) struct Load<T, O> {
    cache: Cache,
    key: Key<T>,
    policy: CachePolicy,
    trace: Trace,
    origin: O,
    tag: u64,
    /// The load began after this was seen: see [`ProbeResult::dropped`].
    dropped: u64,
    miss: Miss,
    /// What another process stores must be loaded after this, in milliseconds
    /// since 1970: a reload is not answered by the copy it replaces.
    after: u64,
}

/// The answer of a load, if it came in time.
type Waited<T> = Result<Result<Loaded<T>, FetchError>, Elapsed>;

impl Cache {
    /// Loads in the caller's own task: it ends when the caller leaves.
    pub(crate) async fn load_here<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
        origin: O,
    ) -> Result<Loaded<T>, FetchError> {
        self.load(ask, seen, origin).run().await
    }

    /// Loads in a task that goes on when the caller leaves, and that others
    /// share if the policy says so.
    ///
    /// Others wait for it as long as a load of their own policy might take.
    /// If it is slower they leave it, and share one that keeps their time,
    /// without the lease that the slow one may hold; should that be slow as
    /// well, each loads in its own turn. So who waits is not one more load
    /// when the origin is merely as slow as the policy allows.
    pub(crate) async fn load_shared<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
        origin: O,
    ) -> Result<(Loaded<T>, bool), FetchError> {
        let (origin, mut policy, limit) = (Arc::new(origin), *ask.policy, wait_limit(ask.policy));
        for is_first in [true, false] {
            let ask = Ask { policy: &policy, ..ask };
            let since = Instant::now();
            let (mut waiter, leader) = self.join(ask);
            if let Some(leader) = leader {
                self.begin(ask, seen, Arc::clone(&origin), leader);
                return Ok((waiter.answer().await?, false));
            }
            let answer = timeout(limit, waiter.answer()).await;
            tell_wait(ask, since, &answer);
            match answer {
                // It may have begun before a write that this caller must see:
                // once more. It has landed, so the next one began after the look.
                Ok(Ok(loaded)) if is_first && loaded.version < seen.floor => (),
                Ok(answer) => return Ok((answer?, true)),
                Err(_) => {
                    self.engine.single_flight.leave(ask.key.as_str(), &waiter);
                    policy.lease = None;
                }
            }
        }
        Ok((self.load(ask, seen, origin).load_and_fill(None).await?, false))
    }

    /// Begins to load in the background, unless somebody does already.
    pub(crate) fn refresh<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
        held: &CachedCopy<T>,
        origin: O,
    ) {
        if let (_, Some(leader)) = self.engine.single_flight.join::<T>(ask.key.as_str()) {
            let done = || "begun".to_owned();
            ask.trace.event(Target::Hitrate, Instant::now(), "reload in the background", done);
            let load = Load { after: held.created_at, ..self.load(ask, seen, origin) };
            tokio::spawn(async move { leader.complete(load.run().await) });
        }
    }

    fn join<T: Cached>(&self, ask: Ask<'_, T>) -> (Waiter<T>, Option<Leader<T>>) {
        match ask.policy.single_flight {
            true => self.engine.single_flight.join(ask.key.as_str()),
            false => self.engine.single_flight.detached(),
        }
    }

    fn begin<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
        origin: Arc<O>,
        leader: Leader<T>,
    ) {
        let load = self.load(ask, seen, origin);
        tokio::spawn(async move { leader.complete(load.run().await) });
    }

    fn load<T: Cached, O>(&self, ask: Ask<'_, T>, seen: &ProbeResult<T>, origin: O) -> Load<T, O> {
        let miss = match &seen.probe {
            Probe::Miss(miss) => miss.clone(),
            _ => Miss::Empty,
        };
        Load {
            cache: self.clone(),
            key: ask.key.clone(),
            policy: *ask.policy,
            trace: ask.trace.clone(),
            origin,
            tag: seen.tag,
            dropped: seen.dropped,
            miss,
            after: 0,
        }
    }
}

/// A shared origin is one, too.
impl<T, O: Origin<T>> Origin<T> for Arc<O> {
    type Error = O::Error;

    fn load(&self) -> impl Future<Output = Result<Option<Versioned<T>>, O::Error>> + Send {
        O::load(self)
    }
}

impl<T: Cached, O: Origin<T>> Load<T, O> {
    /// The whole load: under the lease if there is one.
    async fn run(self) -> Result<Loaded<T>, FetchError> {
        match self.policy.lease {
            Some(lease) if matches!(self.miss, Miss::Empty | Miss::Corrupt(_)) => {
                self.load_leased(lease).await
            }
            _ => self.load_and_fill(None).await,
        }
    }

    /// Loads if no other process does, else waits for what that one stores:
    /// not longer than a load of this policy may take, and than it takes to
    /// find the holder dead. Then it loads all the same: a lease saves loads,
    /// and must not cost an answer.
    async fn load_leased(&self, ttl: Duration) -> Result<Loaded<T>, FetchError> {
        let end = Instant::now() + self.policy.hard_timeout + ttl;
        let mut waits = 0;
        while Instant::now() < end {
            let lease = Lease::new(&self.cache.store, &self.key, ttl);
            match self.take(&lease).await {
                // Without Redis there is no lease, and nobody to share with.
                Err(_) => return self.load_and_fill(None).await,
                Ok((taken, Some(loaded))) => {
                    self.release(taken.then_some(&lease)).await;
                    return Ok(loaded);
                }
                Ok((true, None)) => {
                    return lease.hold_during(self.load_and_fill(Some(&lease))).await;
                }
                Ok((false, None)) if waits == 0 && lease.is_wrong_type().await => break,
                Ok((false, None)) => tokio::time::sleep(Lease::pause(waits)).await,
            }
            waits += 1;
        }
        self.load_and_fill(None).await
    }

    /// Whether the lease was taken, and what is stored by now: in one round
    /// trip, as the one who had the lease may just have stored it.
    async fn take(&self, lease: &Lease) -> Result<(bool, Option<Loaded<T>>), RedisError> {
        let look = self.cache.getting(&self.key);
        let [taken, copied] =
            self.cache.store.run_all([lease.acquire_command(), look], &self.trace).await?;
        let seen = self.cache.answered(&self.key, copied.and_then(probe::copied));
        Ok((taken? != Value::Nil, stored_by_another(seen, self.after)))
    }

    async fn load_and_fill(&self, lease: Option<&Lease>) -> Result<Loaded<T>, FetchError> {
        let (start, since) = (Instant::now(), self.cache.time_lower_bound().max(self.dropped));
        let before = self.cache.engine.near.epoch(self.key.as_str());
        let loaded = self.ask_origin().await;
        if loaded.is_err() {
            self.release(lease).await;
        }
        let value = loaded?;
        let load_duration = start.elapsed();
        let made = self.made(value.is_some(), load_duration);
        let version = value.as_ref().map_or(0, |it| it.version);
        let entry = entry::encode(version, value.as_ref().map(|it| &it.value), made);
        let bytes = entry.len();
        let value = value.map(|it| Arc::new(it.value));
        let (tag, left, created_at) = (self.tag, Some(made.ttl), made.created_at);
        let held = CachedCopy {
            value: value.clone(),
            version,
            created_at,
            left,
            load_duration,
            tag,
            bytes,
            ..CachedCopy::default()
        };
        // Before the fill: Redis tells this process of that as of any change.
        if !matches!(self.miss, Miss::Bypassed) {
            self.cache.remember(self.ask(), &held, before);
        }
        let fill = self.fill(version, value.is_some(), entry, made.ttl, since, lease).await;
        if fill == Fill::Superseded {
            self.cache.engine.grace.remove(self.key.as_str());
        }
        Ok(Loaded {
            version,
            value,
            source: Source::Database,
            ttl: fill.ttl(),
            fill,
            age: Duration::ZERO,
        })
    }

    fn ask(&self) -> Ask<'_, T> {
        Ask { key: &self.key, policy: &self.policy, trace: &self.trace }
    }

    fn made(&self, is_there: bool, load_duration: Duration) -> EntryMeta {
        let ttl = if is_there { self.policy.ttl } else { self.policy.absent_ttl };
        EntryMeta { created_at: self.cache.store.now() / 1000, ttl, load_duration, tag: self.tag }
    }

    /// One load, in its turn. The wait for the turn and the load may take the
    /// hard timeout each: whoever gets a place has all the time that a load
    /// may need, so none is begun that can't end in time. Who has waited that
    /// long leaves the queue, and so does a caller who loads in its own task
    /// and goes: neither uses a place.
    async fn ask_origin(&self) -> Result<Option<Versioned<T>>, FetchError> {
        let (engine, hard) = (&self.cache.engine, self.policy.hard_timeout);
        let turn =
            timeout(hard, engine.bulkhead.enter()).await.map_err(|_| FetchError::TimedOut)?;
        let _turn = turn.inspect_err(|_| engine.observer.load_rejected())?;
        timeout(hard, self.try_origin()).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// A load, and again after a passing fault.
    async fn try_origin(&self) -> Result<Option<Versioned<T>>, FetchError> {
        let engine = &self.cache.engine;
        let (start, mut attempt) = (Instant::now(), 0);
        loop {
            engine.observer.loaded(self.key.namespace().name());
            let failure = match self.origin.load().await {
                Ok(value) => return Ok(value),
                Err(fault) => FetchError::of(fault),
            };
            attempt += 1;
            let is_worth_it = failure.is_transient() && start.elapsed() < WITHIN;
            if attempt >= ATTEMPTS || !is_worth_it {
                return Err(failure);
            }
            tokio::time::sleep(AGAIN.draw(attempt)).await;
        }
    }

    /// Stores the entry, and gives the lease back.
    async fn fill(
        &self,
        version: u64,
        is_there: bool,
        entry: Vec<u8>,
        ttl: Duration,
        since: u64,
        lease: Option<&Lease>,
    ) -> Fill {
        if matches!(self.miss, Miss::Bypassed) {
            return Fill::Bypassed;
        }
        let Some(set) = self.cache.set(&self.key, version, entry, ttl, since, &self.policy) else {
            self.release(lease).await;
            return Fill::TooLarge;
        };
        let filled = match &self.miss {
            // Redis failed a moment ago: the visitor shall not wait for it twice.
            Miss::RedisError(error) if !error.is_refused_write() => Err(error.for_unsent()),
            _ if !is_there && !self.may_keep_absence(ttl) => {
                self.release(lease).await;
                return Fill::Unkept;
            }
            Miss::Corrupt(what) => self.replace(set, what, lease).await,
            _ => self.store(set, lease).await,
        };
        match filled {
            Ok(true) => Fill::Stored(ttl),
            Ok(false) => Fill::Superseded,
            Err(error) => {
                self.release(lease).await;
                Fill::Failed(error)
            }
        }
    }

    async fn release(&self, lease: Option<&Lease>) {
        if let Some(lease) = lease {
            lease.release().await;
        }
    }

    fn may_keep_absence(&self, ttl: Duration) -> bool {
        !ttl.is_zero() && self.cache.engine.negative.admit(ttl)
    }

    /// Stores, and gives the lease back in the same round trip.
    async fn store(&self, set: Command, lease: Option<&Lease>) -> Result<bool, RedisError> {
        let store = &self.cache.store;
        let reply = match lease {
            None => store.run::<Value>(set, &self.trace).await?,
            Some(lease) => {
                let [stored, _] =
                    store.run_all([set, lease.release_command()], &self.trace).await?;
                stored?
            }
        };
        if reply == Value::Int(2) {
            self.tell_overwritten("another type of value");
        }
        // A script says 0 when something newer is there; a plain SET says OK.
        Ok(reply != Value::Int(0))
    }

    fn tell_overwritten(&self, what: &str) {
        let name = self.cache.store.name(&self.key);
        log::warn!("{name} held {what}; it is overwritten");
    }

    /// Puts a value where garbage is, whatever that looks like to the script.
    async fn replace(
        &self,
        set: Command,
        what: &'static str,
        lease: Option<&Lease>,
    ) -> Result<bool, RedisError> {
        let store = &self.cache.store;
        store.run::<Value>(store.on("UNLINK", &self.key), &self.trace).await?;
        let stored = self.store(set, lease).await?;
        self.tell_overwritten(what);
        Ok(stored)
    }
}

/// The longest that a load of this policy may well take: the wait for its
/// turn, the load, and the end of a lease that somebody left behind.
fn wait_limit(policy: &CachePolicy) -> Duration {
    policy.hard_timeout.saturating_mul(2).saturating_add(policy.lease.unwrap_or_default())
}

fn tell_wait<T>(ask: Ask<'_, T>, since: Instant, answer: &Waited<T>) {
    let outcome = || match answer {
        Ok(Ok(loaded)) => format!("version {}", loaded.version),
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    ask.trace.event(Target::Hitrate, since, "wait for the load under way", outcome);
}

fn stored_by_another<T>(seen: ProbeResult<T>, after: u64) -> Option<Loaded<T>> {
    let Probe::Fresh(held) = seen.probe else { return None };
    // A value that the origin does not have yet is newer than any.
    if held.created_at <= after && held.left.is_some() {
        return None;
    }
    Some(Loaded {
        value: held.value,
        version: held.version,
        source: Source::Cache,
        fill: Fill::Unneeded,
        ttl: held.left,
        age: held.age,
    })
}
