//! Loads a value from its origin and fills the cache, with one load at a time per
//! key, a slot in the bulkhead, and deadlines.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{error::Elapsed, timeout};

use crate::{
    Codec, IntoLoaded, Loaded, Namespace, Source,
    error::{BoxError, Error},
    fetch::{
        lease::Lease,
        load_outcome::LoadOutcome,
        lookup::Fill,
        probe::{self, Miss, Probe, ProbeResult},
        retry::Backoff,
        single_flight::Leader,
    },
    local::{cached_copy::CachedCopy, near::Epoch},
    redis::{Key, RedisError, Value},
    trace::{Target, Trace},
};

/// Attempts in total after transient errors.
const MAX_ATTEMPTS: u32 = 3;
/// Retries start only within this time, so that a visitor does not wait long.
const RETRY_WINDOW: Duration = Duration::from_millis(150);
/// Backoff between attempts: a database lock is held for milliseconds.
const RETRY_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(20), max: Duration::from_millis(200) };

/// A way to load one value.
pub(crate) trait Load<T>: Send + Sync + 'static {
    /// Loads the value. Called again after a transient error.
    fn load(&self) -> impl Future<Output = Result<Loaded<T>, LoadFailure>> + Send;
}

/// Why a load failed.
pub(crate) struct LoadFailure {
    pub error: Error,
    pub is_transient: bool,
}

/// A future, which can be awaited only once.
pub(crate) struct OneShot<F>(Mutex<Option<F>>);

impl<F> OneShot<F> {
    pub fn new(future: F) -> Self {
        Self(Mutex::new(Some(future)))
    }

    fn take(&self) -> Option<F> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T, L, E, F> Load<T> for OneShot<F>
where
    L: IntoLoaded<T>,
    E: Into<BoxError>,
    F: Future<Output = Result<L, E>> + Send + 'static,
{
    async fn load(&self) -> Result<Loaded<T>, LoadFailure> {
        let failure = |error| LoadFailure { error, is_transient: false };
        let future = self.take().ok_or(failure(Error::Aborted))?;
        let loaded = future.await.map_err(|error| failure(Error::from_origin(error)))?;
        Ok(loaded.into_loaded())
    }
}

/// A shared origin is an origin as well.
impl<T, O: Load<T>> Load<T> for Arc<O> {
    fn load(&self) -> impl Future<Output = Result<Loaded<T>, LoadFailure>> + Send {
        O::load(self)
    }
}

/// A load. It owns everything it needs, so that it can continue without its caller.
pub(super) struct LoadTask<T, O, C> {
    pub(super) namespace: Namespace<T, C>,
    pub(super) key: Key<T>,
    origin: O,
    /// The generation of the namespace's tag, read before the load.
    pub(super) tag: Option<u64>,
    /// The load starts after this time; see [`ProbeResult::since`].
    since: u64,
    pub(super) miss: Miss,
    /// A copy stored by another process must have been loaded after this, in
    /// milliseconds since 1970: the copy being replaced is no answer to a reload.
    newer_than: u64,
}

/// The state at the start of a load.
#[derive(Clone, Copy)]
pub(super) struct LoadStart {
    pub(super) at: Instant,
    /// The time by Redis's clock, in microseconds since 1970, or earlier.
    pub(super) since: u64,
    pub(super) epoch: Epoch,
}

/// The answer of a load, if it arrived in time.
type TimedAnswer<T> = Result<Result<LoadOutcome<T>, Error>, Elapsed>;

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Loads in the caller's task: the load ends if the caller is cancelled.
    pub(crate) async fn load_here<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
        origin: O,
    ) -> Result<LoadOutcome<T>, Error> {
        self.load_task(key, probed, origin).run().await
    }

    /// Loads in a separate task that continues if the caller is cancelled, and
    /// which other callers share. Without single-flight, loads in the caller's task.
    ///
    /// Callers wait for a shared load as long as a load of their own policy may
    /// take. If it takes longer, they leave it and share a new one with their own
    /// timeout, without the lease, which the slow load may hold. If that is slow
    /// too, each caller loads by itself. So a merely slow origin, within the
    /// policy's limits, gets no extra loads.
    pub(crate) async fn load_shared<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
        origin: O,
    ) -> Result<(LoadOutcome<T>, bool), Error> {
        if !self.policy.single_flight {
            return Ok((self.load_here(key, probed, origin).await?, false));
        }
        let (origin, mut namespace, limit) =
            (Arc::new(origin), self.clone(), self.policy.max_load());
        for is_first in [true, false] {
            let since = Instant::now();
            let (mut waiter, leader) = self.shared().single_flight.join(key.as_str());
            if let Some(leader) = leader {
                namespace.spawn_load(key, probed, Arc::clone(&origin), leader);
                return Ok((waiter.wait().await?, false));
            }
            let answer = timeout(limit, waiter.wait()).await;
            trace_wait(&self.trace, since, &answer);
            match answer {
                // It has completed, so the next load starts after the probe.
                Ok(Ok(loaded)) if is_first && !self.is_recent(&loaded, probed).await => (),
                Ok(answer) => return Ok((answer?, true)),
                Err(_) => {
                    self.shared().single_flight.close_flight(key.as_str(), &waiter);
                    namespace.policy.lease = None;
                }
            }
        }
        Ok((namespace.load_task(key, probed, origin).load_and_fill(None).await?, false))
    }

    /// Whether a caller may share this load, which may have begun before a write or an
    /// invalidation that the caller must see.
    async fn is_recent(&self, loaded: &LoadOutcome<T>, probed: &ProbeResult<T>) -> bool {
        let Some(tags) = &loaded.tags else { return false };
        let is_other_generation = |tag| Some(tag) != loaded.tag && tag > loaded.since;
        loaded.version >= probed.floor
            && loaded.since >= probed.since
            && !probed.tag.is_some_and(is_other_generation)
            && self.are_current(tags).await == Ok(true)
    }

    /// Starts a background reload, unless one is in progress.
    pub(crate) fn reload<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
        copy: &CachedCopy<T>,
        origin: O,
    ) {
        if let (_, Some(leader)) = self.shared().single_flight.join::<T>(key.as_str()) {
            let outcome = || "started".to_owned();
            self.trace.event(Target::Hitrate, Instant::now(), "reload in the background", outcome);
            let newer_than = copy.created_at;
            let load = LoadTask { newer_than, ..self.load_task(key, probed, origin) };
            tokio::spawn(async move { leader.complete(load.run().await) });
        }
    }

    fn spawn_load<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
        origin: Arc<O>,
        leader: Leader<T>,
    ) {
        let load = self.load_task(key, probed, origin);
        tokio::spawn(async move { leader.complete(load.run().await) });
    }

    fn load_task<O>(&self, key: &Key<T>, probed: &ProbeResult<T>, origin: O) -> LoadTask<T, O, C> {
        let miss = match &probed.probe {
            Probe::Miss(miss) => miss.clone(),
            _ => Miss::Empty,
        };
        LoadTask {
            namespace: self.clone(),
            key: key.clone(),
            origin,
            tag: probed.tag,
            since: probed.since,
            miss,
            newer_than: 0,
        }
    }
}

impl<T: Send + Sync + 'static, O: Load<T>, C: Codec<T>> LoadTask<T, O, C> {
    /// Runs the load, under the lease if the policy has one.
    async fn run(mut self) -> Result<LoadOutcome<T>, Error> {
        match self.namespace.policy.lease {
            Some(lease) if matches!(self.miss, Miss::Empty | Miss::Corrupt(_)) => {
                self.load_leased(lease).await
            }
            _ => self.load_and_fill(None).await,
        }
    }

    /// Loads if no other process does; otherwise waits for the copy that one
    /// stores, at most as long as a load may take plus the lease's TTL. After that
    /// it loads anyway: a lease saves loads, but must not cost an answer.
    async fn load_leased(&mut self, ttl: Duration) -> Result<LoadOutcome<T>, Error> {
        let end = Instant::now() + self.namespace.policy.hard_timeout + ttl;
        let mut waits = 0;
        while Instant::now() < end {
            let lease = Lease::new(self.namespace.client(), &self.key, ttl);
            let guard = lease.release_on_drop();
            let acquired = self.try_acquire(&lease).await;
            if let Ok((true, None)) = acquired {
                let loaded = lease.hold_during(self.load_and_fill(Some(&lease))).await;
                guard.disarm();
                return loaded;
            }
            if !matches!(acquired, Ok((true, _))) {
                guard.disarm();
            }
            match acquired {
                // Without Redis there are no leases, and no shared copies.
                Err(_) => return self.load_and_fill(None).await,
                Ok((_, Some(loaded))) => return Ok(loaded),
                Ok(_) if waits == 0 && lease.is_wrong_type().await => break,
                Ok(_) => tokio::time::sleep(Lease::poll_delay(waits)).await,
            }
            waits += 1;
        }
        self.load_and_fill(None).await
    }

    /// Tries to acquire the lease, and reads the copy in the same round trip, as
    /// the previous holder may just have stored it.
    async fn try_acquire(
        &mut self,
        lease: &Lease,
    ) -> Result<(bool, Option<LoadOutcome<T>>), RedisError> {
        let (namespace, acquire) = (&self.namespace, lease.acquire_command());
        let get = namespace.get_command(&self.key);
        let (client, trace) = (namespace.client(), &namespace.trace);
        let [acquired, copy] = match self.tag {
            Some(_) => client.run_all([acquire, get], trace).await?,
            None => {
                let commands = [namespace.start_tag_command(), acquire, get];
                let [_, acquired, copy] = client.run_all(commands, trace).await?;
                [acquired, copy]
            }
        };
        let probed = namespace.interpret_reply(&self.key, copy.and_then(probe::parse_copy));
        // The load has not begun, so the latest is right.
        self.tag = probed.tag.or(self.tag);
        self.since = self.since.max(probed.since);
        let is_acquired = acquired? != Value::Nil;
        let stored = match stored_by_another(probed, self.newer_than) {
            Some(copy) if namespace.are_current(&copy.tags).await == Ok(true) => Some(copy.into()),
            _ => None,
        };
        Ok((is_acquired, stored))
    }

    /// Starts the first generation of the namespace's tag, if it has none.
    async fn ensure_tag(&mut self) {
        if self.tag.is_some() || matches!(self.miss, Miss::Bypassed | Miss::Redis(_)) {
            return;
        }
        let namespace = &self.namespace;
        let get = namespace.client().command("GET").arg(&namespace.state().tag);
        let commands = [namespace.start_tag_command(), get];
        if let Ok([_, tag]) = namespace.client().run_all(commands, &namespace.trace).await {
            self.tag = tag.and_then(crate::redis::typed).ok().flatten();
        }
    }

    async fn load_and_fill(&mut self, lease: Option<&Lease>) -> Result<LoadOutcome<T>, Error> {
        self.ensure_tag().await;
        let (client, near) = (self.namespace.client(), &self.namespace.shared().near);
        let start = LoadStart {
            at: Instant::now(),
            since: client.time_lower_bound().max(self.since),
            epoch: near.epoch(self.key.as_str()),
        };
        let loaded = self.load_with_permit().await;
        if loaded.is_err() {
            self.release(lease).await;
        }
        self.fill(loaded?, start, lease).await
    }

    /// Waits for a slot in the bulkhead, then loads. Each of the two may take the
    /// hard timeout, so no load starts without enough time to finish. A load that
    /// has waited too long, or whose caller is cancelled, leaves the queue.
    async fn load_with_permit(&self) -> Result<Loaded<T>, Error> {
        let (shared, hard) = (self.namespace.shared(), self.namespace.policy.hard_timeout);
        let permit = timeout(hard, shared.bulkhead.acquire()).await.map_err(|_| Error::TimedOut)?;
        let _permit =
            permit.inspect_err(|_| shared.observer.load_rejected(self.namespace.name()))?;
        timeout(hard, self.load_with_retries()).await.unwrap_or(Err(Error::TimedOut))
    }

    /// Loads, and retries after a transient error.
    async fn load_with_retries(&self) -> Result<Loaded<T>, Error> {
        let (start, mut attempt) = (Instant::now(), 0);
        loop {
            self.namespace.shared().observer.load_started(self.namespace.name());
            let failure = match self.origin.load().await {
                Ok(loaded) => return Ok(loaded),
                Err(failure) => failure,
            };
            attempt += 1;
            let may_retry = failure.is_transient && start.elapsed() < RETRY_WINDOW;
            if attempt >= MAX_ATTEMPTS || !may_retry {
                return Err(failure.error);
            }
            tokio::time::sleep(RETRY_BACKOFF.random_delay(attempt)).await;
        }
    }

    pub(super) async fn release(&self, lease: Option<&Lease>) {
        if let Some(lease) = lease {
            lease.release().await;
        }
    }
}

fn trace_wait<T>(trace: &Trace, since: Instant, answer: &TimedAnswer<T>) {
    let outcome = || match answer {
        Ok(Ok(loaded)) => format!("version {}", loaded.version),
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "timed out".to_owned(),
    };
    trace.event(Target::Hitrate, since, "wait for the load in progress", outcome);
}

fn stored_by_another<T>(probed: ProbeResult<T>, newer_than: u64) -> Option<CachedCopy<T>> {
    let Probe::Fresh(copy) = probed.probe else { return None };
    // A pending value is always newer.
    (copy.created_at > newer_than || copy.left.is_none()).then_some(copy)
}

impl<T> From<CachedCopy<T>> for LoadOutcome<T> {
    fn from(copy: CachedCopy<T>) -> Self {
        Self {
            value: copy.value,
            version: copy.version,
            since: copy.loaded_since,
            tag: Some(copy.tag),
            tags: Some(copy.tags),
            source: Source::Cache,
            fill: Fill::NotNeeded,
            ttl: copy.left,
            age: copy.age,
        }
    }
}
