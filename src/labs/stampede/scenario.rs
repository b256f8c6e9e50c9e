//! The scenario of one policy's run: a cache and a key of its own, prepared before the
//! burst and cleared afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    Cache, Loader, Lookup, Namespace,
    redis::{Client, Key},
    trace::Trace,
};
use serde::Serialize;
use tokio::time::sleep;
use utoipa::ToSchema;

use super::{
    StampedePlan, Stampedes,
    origin::{CountingOrigin, Loads},
};
use crate::demo::{
    keys, load_error::LoadError, model::Product, policy::Policy, strategy::Strategy,
};

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
    fn of(policy: &Policy) -> Self {
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
    trials: Loader<String, Product, CountingOrigin>,
    /// The id of the product in the cache: a new one for each run.
    id: String,
    pub(super) policy: Policy,
    origin: CountingOrigin,
}

impl Scenario {
    /// Creates a scenario, with nothing cached.
    pub async fn new(
        all: &Stampedes,
        client: &Client,
        policy: &Policy,
        plan: &StampedePlan,
        name: &str,
    ) -> Self {
        // A cache of its own: other requests share neither its loads nor its limits.
        let cache = Cache::builder_at(&all.address).build_on_client(client);
        let policy = policy.ttl(TTL).with_origin_delay(plan.delay);
        let namespace: Namespace<Product> = cache.namespace(keys::TRIAL, policy.cache);
        if policy.cache.near.is_some() {
            await_tracking(&cache).await;
        }
        let (db, delay) = (Arc::clone(&all.db), plan.delay);
        let origin = CountingOrigin { db, delay, loads: Arc::new(Loads::default()) };
        Self {
            cache,
            id: format!("{name}-{}", policy.name),
            trials: namespace.loader(origin.clone()),
            policy,
            origin,
        }
    }

    /// One visitor's request.
    pub async fn fetch(&self) -> Result<Lookup<Product>, LoadError> {
        Ok(self.trials.lookup(self.id.clone()).await?)
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
        let filled = self
            .trials
            .with(self.policy.cache.with_ttl(ttl).jitter(0.0))
            .lookup(self.id.clone())
            .await;
        sleep(wait).await;
        if filled.is_ok_and(|lookup| lookup.fill.ttl().is_some()) { start } else { Start::Cold }
    }

    /// Waits for background loads and their fills.
    pub(super) async fn settle(&self) {
        let end = Instant::now() + 2 * self.policy.cache.hard_timeout + MARGIN;
        while self.origin.loads.in_flight() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(FILL).await;
    }

    /// Removes the key. If Redis fails, the TTL removes it.
    pub(super) async fn clear(&self) {
        if self.policy.strategy != Strategy::None {
            let client = self.cache.client();
            let key = Key::<Product>::of(keys::TRIAL, &self.id);
            let _ = client.run::<i64>(client.on("UNLINK", &key), &Trace::disabled()).await;
        }
    }
}

async fn await_tracking(cache: &Cache) {
    let end = Instant::now() + TRACKING;
    while !cache.health().is_tracking && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}
