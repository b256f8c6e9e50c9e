//! Loads a value from its origin and fills the cache, with one load at a time per
//! key, a slot in the bulkhead, and deadlines.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{error::Elapsed, timeout};

use crate::{
    Cache, CachePolicy, Cached, Key, Request, Source, Versioned,
    entry::{self, EntryMeta},
    error::FetchError,
    fetch::{
        lease::Lease,
        load_outcome::LoadOutcome,
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

/// Attempts in total after transient errors.
const MAX_ATTEMPTS: u32 = 3;
/// Retries start only within this time, so that a visitor does not wait long.
const RETRY_WINDOW: Duration = Duration::from_millis(150);
/// Backoff between attempts: a database lock is held for milliseconds.
const RETRY_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(20), max: Duration::from_millis(200) };

/// A load. It owns everything it needs, so that it can continue without its caller.
pub(crate) struct Load<T, O> {
    cache: Cache,
    key: Key<T>,
    policy: CachePolicy,
    trace: Trace,
    origin: O,
    tag: u64,
    /// The load starts after this time; see [`ProbeResult::invalidated_at`].
    invalidated_at: u64,
    miss: Miss,
    /// A copy stored by another process must have been loaded after this, in
    /// milliseconds since 1970: the copy being replaced is no answer to a reload.
    newer_than: u64,
}

/// The answer of a load, if it arrived in time.
type TimedAnswer<T> = Result<Result<LoadOutcome<T>, FetchError>, Elapsed>;

impl Cache {
    /// Loads in the caller's task: the load ends if the caller is cancelled.
    pub(crate) async fn load_here<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        origin: O,
    ) -> Result<LoadOutcome<T>, FetchError> {
        self.load(request, probed, origin).run().await
    }

    /// Loads in a separate task that continues if the caller is cancelled, and
    /// which other callers share if the policy allows.
    ///
    /// Callers wait for a shared load as long as a load of their own policy may
    /// take. If it takes longer, they leave it and share a new one with their own
    /// timeout, without the lease, which the slow load may hold. If that is slow
    /// too, each caller loads by itself. So a merely slow origin, within the
    /// policy's limits, gets no extra loads.
    pub(crate) async fn load_shared<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        origin: O,
    ) -> Result<(LoadOutcome<T>, bool), FetchError> {
        let (origin, mut policy, limit) =
            (Arc::new(origin), *request.policy, wait_limit(request.policy));
        for is_first in [true, false] {
            let request = Request { policy: &policy, ..request };
            let since = Instant::now();
            let (mut waiter, leader) = self.join(request);
            if let Some(leader) = leader {
                self.spawn_load(request, probed, Arc::clone(&origin), leader);
                return Ok((waiter.wait().await?, false));
            }
            let answer = timeout(limit, waiter.wait()).await;
            trace_wait(request, since, &answer);
            match answer {
                // The load may have started before a write that this caller must
                // see: try once more. It has completed, so the next load starts
                // after the probe.
                Ok(Ok(loaded)) if is_first && loaded.version < probed.floor => (),
                Ok(answer) => return Ok((answer?, true)),
                Err(_) => {
                    self.engine.single_flight.close_flight(request.key.as_str(), &waiter);
                    policy.lease = None;
                }
            }
        }
        Ok((self.load(request, probed, origin).load_and_fill(None).await?, false))
    }

    /// Starts a background reload, unless one is in progress.
    pub(crate) fn refresh<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        copy: &CachedCopy<T>,
        origin: O,
    ) {
        if let (_, Some(leader)) = self.engine.single_flight.join::<T>(request.key.as_str()) {
            let outcome = || "started".to_owned();
            request.trace.event(
                Target::Hitrate,
                Instant::now(),
                "reload in the background",
                outcome,
            );
            let load = Load { newer_than: copy.created_at, ..self.load(request, probed, origin) };
            tokio::spawn(async move { leader.complete(load.run().await) });
        }
    }

    fn join<T: Cached>(&self, request: Request<'_, T>) -> (Waiter<T>, Option<Leader<T>>) {
        match request.policy.single_flight {
            true => self.engine.single_flight.join(request.key.as_str()),
            false => self.engine.single_flight.detached(),
        }
    }

    fn spawn_load<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        origin: Arc<O>,
        leader: Leader<T>,
    ) {
        let load = self.load(request, probed, origin);
        tokio::spawn(async move { leader.complete(load.run().await) });
    }

    fn load<T: Cached, O>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        origin: O,
    ) -> Load<T, O> {
        let miss = match &probed.probe {
            Probe::Miss(miss) => miss.clone(),
            _ => Miss::Empty,
        };
        Load {
            cache: self.clone(),
            key: request.key.clone(),
            policy: *request.policy,
            trace: request.trace.clone(),
            origin,
            tag: probed.tag,
            invalidated_at: probed.invalidated_at,
            miss,
            newer_than: 0,
        }
    }
}

/// A shared origin is an origin as well.
impl<T, O: Origin<T>> Origin<T> for Arc<O> {
    type Error = O::Error;

    fn load(&self) -> impl Future<Output = Result<Option<Versioned<T>>, O::Error>> + Send {
        O::load(self)
    }
}

impl<T: Cached, O: Origin<T>> Load<T, O> {
    /// Runs the load, under the lease if the policy has one.
    async fn run(self) -> Result<LoadOutcome<T>, FetchError> {
        match self.policy.lease {
            Some(lease) if matches!(self.miss, Miss::Empty | Miss::Corrupt(_)) => {
                self.load_leased(lease).await
            }
            _ => self.load_and_fill(None).await,
        }
    }

    /// Loads if no other process does; otherwise waits for the copy that one
    /// stores, at most as long as a load may take plus the lease's TTL. After that
    /// it loads anyway: a lease saves loads, but must not cost an answer.
    async fn load_leased(&self, ttl: Duration) -> Result<LoadOutcome<T>, FetchError> {
        let end = Instant::now() + self.policy.hard_timeout + ttl;
        let mut waits = 0;
        while Instant::now() < end {
            let lease = Lease::new(&self.cache.store, &self.key, ttl);
            match self.try_acquire(&lease).await {
                // Without Redis there are no leases, and no shared copies.
                Err(_) => return self.load_and_fill(None).await,
                Ok((acquired, Some(loaded))) => {
                    self.release(acquired.then_some(&lease)).await;
                    return Ok(loaded);
                }
                Ok((true, None)) => {
                    return lease.hold_during(self.load_and_fill(Some(&lease))).await;
                }
                Ok((false, None)) if waits == 0 && lease.is_wrong_type().await => break,
                Ok((false, None)) => tokio::time::sleep(Lease::poll_delay(waits)).await,
            }
            waits += 1;
        }
        self.load_and_fill(None).await
    }

    /// Tries to acquire the lease, and reads the copy in the same round trip, as
    /// the previous holder may just have stored it.
    async fn try_acquire(
        &self,
        lease: &Lease,
    ) -> Result<(bool, Option<LoadOutcome<T>>), RedisError> {
        let get = self.cache.get_command(&self.key);
        let [acquired, copy] =
            self.cache.store.run_all([lease.acquire_command(), get], &self.trace).await?;
        let probed = self.cache.interpret_reply(&self.key, copy.and_then(probe::parse_copy));
        Ok((acquired? != Value::Nil, stored_by_another(probed, self.newer_than)))
    }

    async fn load_and_fill(&self, lease: Option<&Lease>) -> Result<LoadOutcome<T>, FetchError> {
        let (start, loaded_since) =
            (Instant::now(), self.cache.time_lower_bound().max(self.invalidated_at));
        let epoch = self.cache.engine.near.epoch(self.key.as_str());
        let loaded = self.load_with_permit().await;
        if loaded.is_err() {
            self.release(lease).await;
        }
        let value = loaded?;
        let load_duration = start.elapsed();
        let meta = self.meta(value.is_some(), load_duration);
        let version = value.as_ref().map_or(0, |it| it.version);
        let entry = entry::encode(version, value.as_ref().map(|it| &it.value), meta);
        let bytes = entry.len();
        let value = value.map(|it| Arc::new(it.value));
        let (tag, left, created_at) = (self.tag, Some(meta.ttl), meta.created_at);
        let copy = CachedCopy {
            value: value.clone(),
            version,
            created_at,
            left,
            load_duration,
            tag,
            bytes,
            ..CachedCopy::default()
        };
        // Before the fill, whose own invalidation push would advance the epoch.
        if !matches!(self.miss, Miss::Bypassed) {
            self.cache.remember(self.request(), &copy, epoch);
        }
        let fill = self.fill(version, value.is_some(), entry, meta.ttl, loaded_since, lease).await;
        if fill == Fill::Superseded {
            self.cache.engine.stale.remove(self.key.as_str());
        }
        Ok(LoadOutcome {
            version,
            value,
            source: Source::Database,
            ttl: fill.ttl(),
            fill,
            age: Duration::ZERO,
        })
    }

    fn request(&self) -> Request<'_, T> {
        Request { key: &self.key, policy: &self.policy, trace: &self.trace }
    }

    fn meta(&self, exists: bool, load_duration: Duration) -> EntryMeta {
        let ttl = if exists { self.policy.ttl } else { self.policy.absent_ttl };
        EntryMeta { created_at: self.cache.store.now() / 1000, ttl, load_duration, tag: self.tag }
    }

    /// Waits for a slot in the bulkhead, then loads. Each of the two may take the
    /// hard timeout, so no load starts without enough time to finish. A load that
    /// has waited too long, or whose caller is cancelled, leaves the queue.
    async fn load_with_permit(&self) -> Result<Option<Versioned<T>>, FetchError> {
        let (engine, hard) = (&self.cache.engine, self.policy.hard_timeout);
        let permit =
            timeout(hard, engine.bulkhead.acquire()).await.map_err(|_| FetchError::TimedOut)?;
        let _permit = permit.inspect_err(|_| engine.observer.load_rejected())?;
        timeout(hard, self.load_with_retries()).await.unwrap_or(Err(FetchError::TimedOut))
    }

    /// Loads, and retries after a transient error.
    async fn load_with_retries(&self) -> Result<Option<Versioned<T>>, FetchError> {
        let engine = &self.cache.engine;
        let (start, mut attempt) = (Instant::now(), 0);
        loop {
            engine.observer.loaded(self.key.namespace().name());
            let failure = match self.origin.load().await {
                Ok(value) => return Ok(value),
                Err(error) => FetchError::of(error),
            };
            attempt += 1;
            let may_retry = failure.is_transient() && start.elapsed() < RETRY_WINDOW;
            if attempt >= MAX_ATTEMPTS || !may_retry {
                return Err(failure);
            }
            tokio::time::sleep(RETRY_BACKOFF.random_delay(attempt)).await;
        }
    }

    /// Stores the entry, and releases the lease.
    async fn fill(
        &self,
        version: u64,
        exists: bool,
        entry: Vec<u8>,
        ttl: Duration,
        loaded_since: u64,
        lease: Option<&Lease>,
    ) -> Fill {
        if matches!(self.miss, Miss::Bypassed) {
            return Fill::Bypassed;
        }
        let Some(set) =
            self.cache.store_command(&self.key, version, entry, ttl, loaded_since, &self.policy)
        else {
            self.release(lease).await;
            return Fill::TooLarge;
        };
        let filled = match &self.miss {
            // Redis has just failed: the visitor must not wait for it twice.
            Miss::Redis(error) if !error.is_refused_write() => Err(error.for_unsent()),
            _ if !exists && !self.admits_negative_entry(ttl) => {
                self.release(lease).await;
                return Fill::NotCached;
            }
            Miss::Corrupt(what) => self.replace_corrupt(set, what, lease).await,
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

    fn admits_negative_entry(&self, ttl: Duration) -> bool {
        !ttl.is_zero() && self.cache.engine.negative.admit(ttl)
    }

    /// Stores the entry, and releases the lease in the same round trip.
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
            self.warn_overwritten("a value of another type");
        }
        // The script replies 0 if a newer entry exists; a plain SET replies OK.
        Ok(reply != Value::Int(0))
    }

    fn warn_overwritten(&self, what: &str) {
        let name = self.cache.store.full_key(&self.key);
        log::warn!("{name} held {what} and was overwritten");
    }

    /// Replaces a corrupt entry, which the fill script might take for a newer one.
    async fn replace_corrupt(
        &self,
        set: Command,
        what: &'static str,
        lease: Option<&Lease>,
    ) -> Result<bool, RedisError> {
        let store = &self.cache.store;
        store.run::<Value>(store.on("UNLINK", &self.key), &self.trace).await?;
        let stored = self.store(set, lease).await?;
        self.warn_overwritten(what);
        Ok(stored)
    }
}

/// The longest a load of this policy may take: the wait for a slot, the load, and
/// the expiry of an abandoned lease.
fn wait_limit(policy: &CachePolicy) -> Duration {
    policy.hard_timeout.saturating_mul(2).saturating_add(policy.lease.unwrap_or_default())
}

fn trace_wait<T>(request: Request<'_, T>, since: Instant, answer: &TimedAnswer<T>) {
    let outcome = || match answer {
        Ok(Ok(loaded)) => format!("version {}", loaded.version),
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "timed out".to_owned(),
    };
    request.trace.event(Target::Hitrate, since, "wait for the load in progress", outcome);
}

fn stored_by_another<T>(probed: ProbeResult<T>, newer_than: u64) -> Option<LoadOutcome<T>> {
    let Probe::Fresh(copy) = probed.probe else { return None };
    // A pending value is always newer.
    if copy.created_at <= newer_than && copy.left.is_some() {
        return None;
    }
    Some(LoadOutcome {
        value: copy.value,
        version: copy.version,
        source: Source::Cache,
        fill: Fill::NotNeeded,
        ttl: copy.left,
        age: copy.age,
    })
}
