//! The read path: a copy, a stale copy, or a load.

use std::{
    mem,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

use crate::{
    CachePolicy, Codec, Namespace, Refresh, Source,
    error::Error,
    fetch::{
        load::Load,
        load_outcome::LoadOutcome,
        lookup::{Fill, Forward, Lookup},
        probe::{Miss, Probe, ProbeResult},
        stale::StaleCopy,
        xfetch,
    },
    local::cached_copy::CachedCopy,
    redis::Key,
    trace::Target,
};

/// The next step after a probe. A load is boxed, so that a hit does not carry its
/// size.
enum ReadStep<'a, T> {
    Hit(Lookup<T>),
    Load(BoxFuture<'a, Result<Lookup<T>, Error>>),
}

/// Whether a read that found this copy starts to replace it.
fn is_refresh_due<T>(policy: &CachePolicy, copy: &CachedCopy<T>) -> bool {
    let is_cached_value = copy.source == Source::Cache && copy.value.is_some();
    let Some(left) = copy.left.filter(|_| is_cached_value) else { return false };
    match policy.refresh {
        Refresh::Off => false,
        Refresh::Ahead(share) => left < policy.ttl.mul_f64(share),
        Refresh::Early(beta) => {
            xfetch::may_be_due(left, copy.load_duration, beta)
                && xfetch::is_due(left, copy.load_duration, beta, rand::random())
        }
    }
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Returns a copy, or loads the value.
    #[expect(clippy::manual_async_fn, reason = "an async fn would store the origin twice")]
    pub(crate) fn read<O: Load<T>>(
        &self,
        key: &Key<T>,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, Error>> + Send {
        async move {
            if self.policy.is_bypassed || self.shared().is_off {
                let probed = ProbeResult::miss(Miss::Bypassed);
                let loaded = self.load_here(key, &probed, origin).await?;
                return Ok(self.lookup_from_load(key, loaded, Forward::Bypass, false));
            }
            let probed = self.probe(key).await;
            match self.resolve(key, probed, origin) {
                ReadStep::Hit(lookup) => Ok(lookup),
                ReadStep::Load(load) => load.await,
            }
        }
    }

    fn resolve<'a, O: Load<T>>(
        &'a self,
        key: &'a Key<T>,
        mut probed: ProbeResult<T>,
        origin: O,
    ) -> ReadStep<'a, T> {
        match mem::replace(&mut probed.probe, Probe::Miss(Miss::Empty)) {
            Probe::Fresh(copy) => {
                if is_refresh_due(&self.policy, &copy) {
                    self.reload(key, &probed, &copy, origin);
                }
                ReadStep::Hit(self.lookup_from_copy(key, copy))
            }
            miss => {
                probed.probe = miss;
                ReadStep::Load(Box::pin(self.load_or_serve_stale(key, probed, origin)))
            }
        }
    }

    /// Shares one load with concurrent callers, unless a stale copy can be served.
    async fn load_or_serve_stale<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: ProbeResult<T>,
        origin: O,
    ) -> Result<Lookup<T>, Error> {
        if let Some(stale) = self.probe_stale(key, &probed).await {
            return self.load_with_stale_fallback(key, &probed, stale, origin).await;
        }
        let (loaded, collapsed) = self.load_shared(key, &probed, origin).await?;
        Ok(self.lookup_from_load(key, loaded, Forward::Miss, collapsed))
    }

    /// Waits up to the soft timeout for the origin, then serves the stale copy
    /// while the load continues. If Redis could not confirm that nothing is newer,
    /// it waits until the origin fails.
    async fn load_with_stale_fallback<O: Load<T>>(
        &self,
        key: &Key<T>,
        probed: &ProbeResult<T>,
        stale: StaleCopy<T>,
        origin: O,
    ) -> Result<Lookup<T>, Error> {
        let soft = self.policy.soft_timeout.filter(|_| stale.error.is_none());
        let (since, timeout) = (Instant::now(), soft.unwrap_or(Duration::MAX));
        let loading = self.load_shared(key, probed, origin);
        let why = match tokio::time::timeout(timeout, loading).await {
            Ok(Ok((loaded, collapsed))) => {
                let is_confirmed_stale = stale.error.is_none();
                let forward = if is_confirmed_stale { Forward::Stale } else { Forward::Miss };
                return Ok(self.lookup_from_load(key, loaded, forward, collapsed));
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "the load continues in the background".to_owned(),
        };
        self.trace.event(Target::Hitrate, since, "serve the stale copy", || why);
        let fill = stale.error.map_or(Fill::NotNeeded, Fill::Failed);
        Ok(Lookup {
            fill,
            ..self.lookup_from_copy(key, CachedCopy { source: Source::Stale, ..stale.copy })
        })
    }

    pub(crate) fn lookup_from_copy(&self, key: &Key<T>, copy: CachedCopy<T>) -> Lookup<T> {
        Lookup {
            version: copy.value.as_ref().map(|_| copy.version),
            value: copy.value,
            source: copy.source,
            key: self.client().full_key(key),
            ttl: copy.left,
            stale_for: copy.stale_for,
            age: copy.age,
            fill: Fill::NotNeeded,
            forward: Forward::No,
            collapsed: false,
            elapsed: Duration::ZERO,
        }
    }

    fn lookup_from_load(
        &self,
        key: &Key<T>,
        loaded: LoadOutcome<T>,
        forward: Forward,
        collapsed: bool,
    ) -> Lookup<T> {
        Lookup {
            version: loaded.value.as_ref().map(|_| loaded.version),
            value: loaded.value,
            source: loaded.source,
            key: self.client().full_key(key),
            ttl: loaded.ttl,
            stale_for: Duration::ZERO,
            age: loaded.age,
            fill: loaded.fill,
            forward,
            collapsed,
            elapsed: Duration::ZERO,
        }
    }
}
