//! How a read goes, by whom it asks first.

use std::{
    mem,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

use crate::{
    Ask, Cache, CachePolicy, Cached, Source,
    error::FetchError,
    fetch::{
        loaded::Loaded,
        lookup::{Fill, Forward, Lookup},
        probe::{Miss, Probe, ProbeResult, StaleCopy},
        xfetch,
    },
    local::cached_copy::CachedCopy,
    origin::Origin,
    trace::Target,
};

/// The last part of a TTL, as a share of it: refresh-ahead reloads what is read then.
const AHEAD: f64 = 0.2;

/// Whom a read asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The origin alone; the cache is neither read nor filled.
    Origin,
    /// The cache, then the origin, in the caller's own task.
    Aside,
    /// The cache, which loads what it does not have, and what XFetch picks.
    Through,
    /// The same, and what has little time left is reloaded before it ends.
    Ahead,
}

/// What a look leads to. A load is in a box, so that a hit does not carry its weight.
enum Next<'a, T> {
    Hit(Lookup<T>),
    Load(BoxFuture<'a, Result<Lookup<T>, FetchError>>),
}

impl Reads {
    /// Whether a read that found this copy begins to replace it.
    fn is_due<T>(self, policy: &CachePolicy, held: &CachedCopy<T>) -> bool {
        let is_there = held.source == Source::Cache && held.value.is_some();
        let Some(left) = held.left.filter(|_| is_there) else { return false };
        match self {
            Self::Origin | Self::Aside => false,
            Self::Ahead => left < policy.ttl.mul_f64(AHEAD),
            Self::Through => policy.early.is_some_and(|beta| {
                xfetch::may_be_due(left, held.load_duration, beta)
                    && xfetch::is_due(left, held.load_duration, beta, rand::random())
            }),
        }
    }
}

impl Cache {
    /// A copy, or what a load brings.
    #[expect(clippy::manual_async_fn, reason = "it holds the origin once, an async fn twice")]
    pub(crate) fn read<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, FetchError>> + Send {
        async move {
            let seen = match ask.policy.strategy.reads() {
                Reads::Origin => ProbeResult::miss(Miss::Bypassed),
                _ => self.probe(ask).await,
            };
            match self.hit(ask, seen, origin) {
                Next::Hit(lookup) => Ok(lookup),
                Next::Load(load) => load.await,
            }
        }
    }

    fn hit<'a, T: Cached, O: Origin<T>>(
        &'a self,
        ask: Ask<'a, T>,
        mut seen: ProbeResult<T>,
        origin: O,
    ) -> Next<'a, T> {
        let reads = ask.policy.strategy.reads();
        match mem::replace(&mut seen.probe, Probe::Miss(Miss::Empty)) {
            Probe::Fresh(held) => {
                if reads.is_due(ask.policy, &held) {
                    self.refresh(ask, &seen, &held, origin);
                }
                Next::Hit(self.held(ask, held))
            }
            miss => {
                seen.probe = miss;
                Next::Load(Box::pin(self.read_on(reads, ask, seen, origin)))
            }
        }
    }

    /// There is no fresh copy.
    async fn read_on<T: Cached, O: Origin<T>>(
        &self,
        reads: Reads,
        ask: Ask<'_, T>,
        seen: ProbeResult<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        let forward = match reads {
            Reads::Origin => Forward::Bypass,
            Reads::Aside => Forward::Miss,
            Reads::Through | Reads::Ahead => return self.read_together(ask, seen, origin).await,
        };
        let loaded = self.load_here(ask, &seen, origin).await?;
        Ok(self.loaded(ask, loaded, forward, false))
    }

    /// One load for all who ask now, unless a copy past its TTL will do.
    async fn read_together<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: ProbeResult<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        if let Some(past) = self.probe_stale(ask, &seen).await {
            return self.read_with_grace(ask, &seen, past, origin).await;
        }
        let (loaded, collapsed) = self.load_shared(ask, &seen, origin).await?;
        Ok(self.loaded(ask, loaded, Forward::Miss, collapsed))
    }

    /// Waits a little for the origin, then serves what is past its TTL; the
    /// load goes on. When Redis could not say that nothing is newer, it waits
    /// until the origin fails.
    async fn read_with_grace<T: Cached, O: Origin<T>>(
        &self,
        ask: Ask<'_, T>,
        seen: &ProbeResult<T>,
        past: StaleCopy<T>,
        origin: O,
    ) -> Result<Lookup<T>, FetchError> {
        let soft = ask.policy.soft_timeout.filter(|_| past.error.is_none());
        let (since, timeout) = (Instant::now(), soft.unwrap_or(Duration::MAX));
        let loading = self.load_shared(ask, seen, origin);
        let why = match tokio::time::timeout(timeout, loading).await {
            Ok(Ok((loaded, collapsed))) => {
                let is_sure = past.error.is_none();
                let forward = if is_sure { Forward::Stale } else { Forward::Miss };
                return Ok(self.loaded(ask, loaded, forward, collapsed));
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "the load goes on in the background".to_owned(),
        };
        ask.trace.event(Target::Hitrate, since, "serve what is past its TTL", || why);
        let fill = past.error.map_or(Fill::Unneeded, Fill::Failed);
        Ok(Lookup { fill, ..self.held(ask, CachedCopy { source: Source::Stale, ..past.held }) })
    }

    fn held<T>(&self, ask: Ask<'_, T>, held: CachedCopy<T>) -> Lookup<T> {
        Lookup {
            version: held.value.as_ref().map(|_| held.version),
            value: held.value,
            source: held.source,
            key: self.store.name(ask.key),
            ttl: held.left,
            past: held.past,
            age: held.age,
            fill: Fill::Unneeded,
            forward: Forward::No,
            collapsed: false,
            policy: ask.policy.name,
            elapsed_us: 0,
        }
    }

    fn loaded<T>(
        &self,
        ask: Ask<'_, T>,
        loaded: Loaded<T>,
        forward: Forward,
        collapsed: bool,
    ) -> Lookup<T> {
        Lookup {
            version: loaded.value.as_ref().map(|_| loaded.version),
            value: loaded.value,
            source: loaded.source,
            key: self.store.name(ask.key),
            ttl: loaded.ttl,
            past: Duration::ZERO,
            age: loaded.age,
            fill: loaded.fill,
            forward,
            collapsed,
            policy: ask.policy.name,
            elapsed_us: 0,
        }
    }
}
