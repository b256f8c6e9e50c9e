//! Where one policy's turn takes place: a cache and a key of its own, brought to
//! the state in which the stampede should find it, and cleared afterwards.

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
    origin::{Loads, Origin},
};
use crate::demo::{keys, model::Trial};

/// The TTL of what the crowd loads: longer than a run, so that it does not end
/// in the middle, and short enough for what a run leaves behind if it breaks off.
const TTL: Duration = Duration::from_secs(60);
/// The TTL of a value that shall have ended when the crowd comes.
const ENDED: Duration = Duration::from_millis(20);
/// Between filling a value that shall be about to end and the signal: enough to
/// gather the crowd.
const GATHERING: Duration = Duration::from_millis(50);
/// The least that is left of such a value when the signal is given.
const LEFT_MIN: Duration = Duration::from_millis(50);
/// Added to what the policy lets a visitor wait: nobody should need it.
pub(super) const SPARE: Duration = Duration::from_secs(3);
/// How long the fill after the last load may take: one round trip to Redis.
const FILL: Duration = Duration::from_millis(20);
/// How long the near cache may take to hear of changes.
const TRACKING: Duration = Duration::from_millis(500);

/// What the crowd finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Nothing under the key.
    Cold,
    /// A value with about half the time left that a load takes.
    AboutToEnd,
    /// A value whose TTL has just ended.
    JustEnded,
}

impl Start {
    /// A protection that needs a value to protect gets one.
    fn of(policy: &CachePolicy) -> Self {
        match policy.name {
            "early-refresh" => Self::AboutToEnd,
            "stale-while-revalidate" => Self::JustEnded,
            _ => Self::Cold,
        }
    }
}

/// Where the stampede on one policy takes place.
pub struct Scenario {
    pub(super) cache: Cache,
    key: Key<Trial>,
    pub(super) policy: CachePolicy,
    origin: Origin,
}

impl Scenario {
    /// Sets one up, with nothing cached.
    pub async fn set(
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
            origin: Origin { db, name, delay, loads: Arc::new(Loads::default()) },
        }
    }

    /// One visitor's question.
    pub async fn ask(&self) -> Result<Lookup<Trial>, FetchError> {
        self.ask_by(&self.policy).await
    }

    async fn ask_by(&self, policy: &CachePolicy) -> Result<Lookup<Trial>, FetchError> {
        self.cache.fetch(&self.key, policy, &Trace::disabled(), self.origin.clone()).await
    }

    /// Values loaded from the database so far.
    pub(super) fn loads(&self) -> u64 {
        self.origin.loads.begun()
    }

    /// Brings the value to where the crowd shall find it. Where that can't be
    /// done, they find nothing.
    pub(super) async fn prepare(&self) -> Start {
        let left = (self.origin.delay / 2).max(LEFT_MIN);
        let (start, ttl, wait) = match Start::of(&self.policy) {
            Start::Cold => return Start::Cold,
            Start::AboutToEnd => (Start::AboutToEnd, left + GATHERING, GATHERING),
            Start::JustEnded => (Start::JustEnded, ENDED, ENDED * 2),
        };
        let filled = self.ask_by(&self.policy.ttl(ttl)).await;
        sleep(wait).await;
        if filled.is_ok_and(|lookup| lookup.fill.ttl().is_some()) { start } else { Start::Cold }
    }

    /// Waits for loads that go on in the background, and for their fills.
    pub(super) async fn settle(&self) {
        let end = Instant::now() + 2 * self.policy.hard_timeout + SPARE;
        while self.origin.loads.under_way() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(FILL).await;
    }

    /// Removes what was stored. Where Redis can't be told, the TTL does it.
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
