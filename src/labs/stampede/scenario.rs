//! The scenario of one policy's run: a cache and a key of its own, prepared before the
//! burst and cleared afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    Cache, CachePolicy, Engine, FetchError, Key, Lookup, Strategy, redis::Store, trace::Trace,
};
use serde::Serialize;
use tokio::time::sleep;
use utoipa::ToSchema;

use super::{
    StampedePlan, Stampedes,
    origin::{CountingOrigin, Loads},
};
use crate::demo::{keys, model::TrialProduct};

/// TTL of the loaded value: longer than a run, so that it does not expire during it, and
/// short enough for leftovers of an aborted run.
const TTL: Duration = Duration::from_secs(60);
/// TTL of a value that has expired before the burst.
const EXPIRED_TTL: Duration = Duration::from_millis(20);
/// Time between storing an expiring value and the signal: enough to start all visitors.
const STARTUP: Duration = Duration::from_millis(50);
/// Minimum remaining TTL of such a value at the signal.
const LEFT_MIN: Duration = Duration::from_millis(50);
/// Margin added to the timeout of the policy; not needed normally.
pub(super) const MARGIN: Duration = Duration::from_secs(3);
/// Maximum duration of the fill after the last load: one round trip to Redis.
const FILL: Duration = Duration::from_millis(20);
/// Maximum time until the near cache receives invalidations.
const TRACKING: Duration = Duration::from_millis(500);

/// The state of the key when the burst starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// The key does not exist.
    Cold,
    /// A value that expires in about half the duration of a load.
    Expiring,
    /// A value that has just expired.
    Expired,
}

impl Start {
    /// Some protections need an existing value.
    fn of(policy: &CachePolicy) -> Self {
        match policy.name {
            "early-refresh" => Self::Expiring,
            "stale-while-revalidate" => Self::Expired,
            _ => Self::Cold,
        }
    }
}

/// The cache and key of one policy's run.
pub struct Scenario {
    pub(super) cache: Cache,
    key: Key<TrialProduct>,
    pub(super) policy: CachePolicy,
    origin: CountingOrigin,
}

impl Scenario {
    /// Creates a scenario, with nothing cached.
    pub async fn new(
        all: &Stampedes,
        store: &Store,
        policy: &CachePolicy,
        plan: &StampedePlan,
        name: &str,
    ) -> Self {
        let engine = Arc::new(Engine::new(store.prefix(), &[keys::TRIAL], Arc::new(())));
        if policy.near.is_some() {
            engine.track(&all.address, store.prefix());
            await_tracking(&engine).await;
        }
        let name = format!("{name}-{}", policy.name);
        let (db, delay) = (Arc::clone(&all.db), plan.delay);
        Self {
            cache: Cache::new(store.clone(), engine),
            key: keys::trial(&name),
            policy: policy.ttl(TTL).with_origin_delay(delay),
            origin: CountingOrigin { db, name, delay, loads: Arc::new(Loads::default()) },
        }
    }

    /// One visitor's request.
    pub async fn fetch(&self) -> Result<Lookup<TrialProduct>, FetchError> {
        self.fetch_with(&self.policy).await
    }

    async fn fetch_with(&self, policy: &CachePolicy) -> Result<Lookup<TrialProduct>, FetchError> {
        self.cache.fetch(&self.key, policy, &Trace::disabled(), self.origin.clone()).await
    }

    /// Number of database loads so far.
    pub(super) fn loads(&self) -> u64 {
        self.origin.loads.started()
    }

    /// Prepares the value. Returns [`Start::Cold`] if that fails.
    pub(super) async fn prepare(&self) -> Start {
        let left = (self.origin.delay / 2).max(LEFT_MIN);
        let (start, ttl, wait) = match Start::of(&self.policy) {
            Start::Cold => return Start::Cold,
            Start::Expiring => (Start::Expiring, left + STARTUP, STARTUP),
            Start::Expired => (Start::Expired, EXPIRED_TTL, EXPIRED_TTL * 2),
        };
        let filled = self.fetch_with(&self.policy.ttl(ttl)).await;
        sleep(wait).await;
        if filled.is_ok_and(|lookup| lookup.fill.ttl().is_some()) { start } else { Start::Cold }
    }

    /// Waits for background loads and their fills.
    pub(super) async fn settle(&self) {
        let end = Instant::now() + 2 * self.policy.hard_timeout + MARGIN;
        while self.origin.loads.in_flight() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(FILL).await;
    }

    /// Removes the key. If Redis fails, the TTL removes it.
    pub(super) async fn clear(&self) {
        let store = self.cache.store();
        if self.policy.strategy != Strategy::None {
            let _ = store.run::<i64>(store.on("UNLINK", &self.key), &Trace::disabled()).await;
        }
    }
}

async fn await_tracking(engine: &Engine) {
    let end = Instant::now() + TRACKING;
    while !engine.near().1 && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}
