//! Read paths: which caches a read uses, and when it loads.

use std::{
    mem,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

use crate::{
    Cache, CachePolicy, Cached, Request, Source,
    error::FetchError,
    fetch::{
        load_outcome::LoadOutcome,
        lookup::{Fill, Forward, Lookup},
        probe::{Miss, Probe, ProbeResult, StaleCopy},
        xfetch,
    },
    local::cached_copy::CachedCopy,
    origin::Origin,
    trace::Target,
};

/// The last share of the TTL, in which refresh-ahead reloads a value that is read.
const REFRESH_AHEAD_SHARE: f64 = 0.2;

/// How a read uses the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// The origin only; the cache is neither read nor filled.
    Bypass,
    /// The cache, then the origin, in the caller's task.
    CacheAside,
    /// The cache, which loads missing values, and refreshes early as XFetch
    /// decides.
    ReadThrough,
    /// As read-through, and a value is reloaded when little of its TTL is left.
    RefreshAhead,
}

/// The next step after a probe. A load is boxed, so that a hit does not carry its
/// size.
enum ReadStep<'a, T> {
    Hit(Lookup<T>),
    Load(BoxFuture<'a, Result<Lookup<T>, FetchError>>),
}

impl ReadMode {
    /// Whether a read that found this copy starts to replace it.
    fn is_due<T>(self, policy: &CachePolicy, copy: &CachedCopy<T>) -> bool {
        let is_cached_value = copy.source == Source::Cache && copy.value.is_some();
        let Some(left) = copy.left.filter(|_| is_cached_value) else { return false };
        match self {
            Self::Bypass | Self::CacheAside => false,
            Self::RefreshAhead => left < policy.ttl.mul_f64(REFRESH_AHEAD_SHARE),
            Self::ReadThrough => policy.xfetch_beta.is_some_and(|beta| {
                xfetch::may_be_due(left, copy.load_duration, beta)
                    && xfetch::is_due(left, copy.load_duration, beta, rand::random())
            }),
        }
    }
}

impl Cache {
    /// Returns a copy, or loads the value.
    #[expect(clippy::manual_async_fn, reason = "an async fn would store the origin twice")]
    pub(crate) fn read<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, FetchError>> + Send {
        async move {
            let probed = match request.policy.strategy.read_mode() {
                ReadMode::Bypass => ProbeResult::miss(Miss::Bypassed),
                _ => self.probe(request).await,
            };
            match self.resolve(request, probed, origin) {
                ReadStep::Hit(lookup) => Ok(lookup),
                ReadStep::Load(load) => load.await,
            }
        }
    }

    fn resolve<'a, T: Cached, O: Origin<T>>(
        &'a self,
        request: Request<'a, T>,
        mut probed: ProbeResult<T>,
        origin: O,
    ) -> ReadStep<'a, T> {
        let mode = request.policy.strategy.read_mode();
        match mem::replace(&mut probed.probe, Probe::Miss(Miss::Empty)) {
            Probe::Fresh(copy) => {
                if mode.is_due(request.policy, &copy) {
                    self.refresh(request, &probed, &copy, origin);
                }
                ReadStep::Hit(self.lookup_from_copy(request, copy))
            }
            miss => {
                probed.probe = miss;
                ReadStep::Load(Box::pin(self.read_miss(mode, request, probed, origin)))
            }
        }
    }

    /// Continues after a miss.
    async fn read_miss<T: Cached, O: Origin<T>>(
        &self,
        mode: ReadMode,
        request: Request<'_, T>,
        probed: ProbeResult<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        let forward = match mode {
            ReadMode::Bypass => Forward::Bypass,
            ReadMode::CacheAside => Forward::Miss,
            ReadMode::ReadThrough | ReadMode::RefreshAhead => {
                return self.load_or_serve_stale(request, probed, origin).await;
            }
        };
        let loaded = self.load_here(request, &probed, origin).await?;
        Ok(self.lookup_from_load(request, loaded, forward, false))
    }

    /// Shares one load with concurrent callers, unless a stale copy can be served.
    async fn load_or_serve_stale<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: ProbeResult<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        if let Some(stale) = self.probe_stale(request, &probed).await {
            return self.load_with_stale_fallback(request, &probed, stale, origin).await;
        }
        let (loaded, collapsed) = self.load_shared(request, &probed, origin).await?;
        Ok(self.lookup_from_load(request, loaded, Forward::Miss, collapsed))
    }

    /// Waits up to the soft timeout for the origin, then serves the stale copy
    /// while the load continues. If Redis could not confirm that nothing is newer,
    /// it waits until the origin fails.
    async fn load_with_stale_fallback<T: Cached, O: Origin<T>>(
        &self,
        request: Request<'_, T>,
        probed: &ProbeResult<T>,
        stale: StaleCopy<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        let soft = request.policy.soft_timeout.filter(|_| stale.error.is_none());
        let (since, timeout) = (Instant::now(), soft.unwrap_or(Duration::MAX));
        let loading = self.load_shared(request, probed, origin);
        let why = match tokio::time::timeout(timeout, loading).await {
            Ok(Ok((loaded, collapsed))) => {
                let is_confirmed_stale = stale.error.is_none();
                let forward = if is_confirmed_stale { Forward::Stale } else { Forward::Miss };
                return Ok(self.lookup_from_load(request, loaded, forward, collapsed));
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "the load continues in the background".to_owned(),
        };
        request.trace.event(Target::Hitrate, since, "serve the stale copy", || why);
        let fill = stale.error.map_or(Fill::NotNeeded, Fill::Failed);
        Ok(Lookup {
            fill,
            ..self.lookup_from_copy(request, CachedCopy { source: Source::Stale, ..stale.copy })
        })
    }

    fn lookup_from_copy<T>(&self, request: Request<'_, T>, copy: CachedCopy<T>) -> Lookup<T> {
        Lookup {
            version: copy.value.as_ref().map(|_| copy.version),
            value: copy.value,
            source: copy.source,
            key: self.store.full_key(request.key),
            ttl: copy.left,
            stale_for: copy.stale_for,
            age: copy.age,
            fill: Fill::NotNeeded,
            forward: Forward::No,
            collapsed: false,
            policy: request.policy.name,
            elapsed_us: 0,
        }
    }

    fn lookup_from_load<T>(
        &self,
        request: Request<'_, T>,
        loaded: LoadOutcome<T>,
        forward: Forward,
        collapsed: bool,
    ) -> Lookup<T> {
        Lookup {
            version: loaded.value.as_ref().map(|_| loaded.version),
            value: loaded.value,
            source: loaded.source,
            key: self.store.full_key(request.key),
            ttl: loaded.ttl,
            stale_for: Duration::ZERO,
            age: loaded.age,
            fill: loaded.fill,
            forward,
            collapsed,
            policy: request.policy.name,
            elapsed_us: 0,
        }
    }
}
