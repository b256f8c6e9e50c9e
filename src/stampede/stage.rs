//! One recipe's turn: a key of its own is brought to where the stampede shall
//! find it, the crowd comes, then a few more requests, and the key is removed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::sleep;
use utoipa::ToSchema;

use super::{
    Plan, Stampedes,
    crowd::{self, Next, Tally},
    origin::{Loads, Origin},
};
use crate::{
    cache::{Cache, Engine, Failure, Lookup, Recipe, Strategy},
    keys::{self, Key},
    metrics::Metrics,
    model::{Source, Trial},
    store::Store,
    wire::Wire,
};

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
/// Added to what the recipe lets a visitor wait: nobody should need it.
const SPARE: Duration = Duration::from_secs(3);
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
    fn of(recipe: &Recipe) -> Self {
        match recipe.name {
            "early-refresh" => Self::AboutToEnd,
            "grace" => Self::JustEnded,
            _ => Self::Cold,
        }
    }
}

/// What one recipe's turn brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// The recipe.
    pub recipe: &'static str,
    /// It, in one line.
    pub about: &'static str,
    /// What the crowd found.
    pub start: Start,
    /// How many came at once.
    pub visitors: u32,
    /// Values loaded from the database for them; counted where they are loaded.
    pub origin_loads: u64,
    /// Half of those who were answered waited at most this many microseconds,
    /// from the signal on; null when nobody was answered.
    pub p50_us: Option<u64>,
    /// 99 of 100 waited at most this many microseconds.
    pub p99_us: Option<u64>,
    /// The slowest, in microseconds.
    pub max_us: Option<u64>,
    /// The most loads that waited for their turn at the database.
    pub queued: u64,
    /// Visitors turned away at once, as too many loads waited already.
    pub shed: u64,
    /// The slowest of those, in microseconds.
    pub shed_max_us: Option<u64>,
    /// Visitors who got no answer for another reason.
    pub failed: u64,
    /// The first such reason; null when there is none.
    pub failure: Option<String>,
    /// What Redis said when a value was to be stored; null when it was stored.
    pub trouble: Option<String>,
    /// Answered with what the database said.
    pub from_database: u64,
    /// Answered with a copy within its TTL.
    pub from_cache: u64,
    /// Answered with a copy past its TTL.
    pub stale: u64,
    /// The requests after them.
    pub next: Next,
}

impl Run {
    /// A run before its start, for tests of what is made of one.
    #[cfg(test)]
    pub fn blank() -> Self {
        Self {
            recipe: "plain",
            about: "",
            start: Start::Cold,
            visitors: 100,
            origin_loads: 0,
            p50_us: None,
            p99_us: None,
            max_us: None,
            queued: 0,
            shed: 0,
            shed_max_us: None,
            failed: 0,
            failure: None,
            trouble: None,
            from_database: 0,
            from_cache: 0,
            stale: 0,
            next: Next::default(),
        }
    }

    /// How many visitors got a value.
    pub fn answered(&self) -> u64 {
        self.from_database + self.from_cache + self.stale
    }
}

/// Where one recipe's turn takes place.
pub struct Stage {
    cache: Cache,
    key: Key<Trial>,
    recipe: Recipe,
    origin: Origin,
}

impl Stage {
    /// Sets one up, with nothing cached.
    pub async fn set(
        all: &Stampedes,
        store: &Store,
        metrics: &Arc<Metrics>,
        recipe: &Recipe,
        plan: &Plan,
        name: &str,
    ) -> Self {
        let engine = Arc::new(Engine::new(store.prefix(), Arc::clone(metrics)));
        if recipe.near.is_some() {
            engine.track(&all.address, store.prefix());
            await_tracking(&engine).await;
        }
        let name = format!("{name}-{}", recipe.name);
        let (db, delay) = (Arc::clone(&all.db), plan.delay);
        Self {
            cache: Cache::new(store.clone(), engine),
            key: keys::trial(&name),
            recipe: recipe.ttl(TTL).on_top_of(delay),
            origin: Origin { db, name, delay, loads: Arc::new(Loads::default()) },
        }
    }

    /// The whole turn. The failure is the first one that a visitor met.
    pub async fn run(self, visitors: u32) -> (Run, Option<Failure>) {
        let this = Arc::new(self);
        let start = this.prepare().await;
        let before = this.loads();
        let limit = this.recipe.hard_timeout * 2 + SPARE;
        let tally = crowd::come(&this, visitors, limit).await;
        this.settle().await;
        let after = this.loads();
        let next = this.run_on(after).await;
        this.clear().await;
        let run = this.told(start, visitors, after - before, &tally, next);
        (run, tally.cause())
    }

    /// The requests after the crowd. Without Redis each of them would only wait
    /// for the database once more.
    async fn run_on(self: &Arc<Self>, before: u64) -> Next {
        if self.cache.store().is_away() {
            return Next { left_out: true, ..Next::default() };
        }
        let next = crowd::come_again(self).await;
        let origin_loads = self.loads() - before;
        self.settle().await;
        Next { origin_loads, ..next }
    }

    /// One visitor's question.
    pub async fn ask(&self) -> Result<Lookup<Trial>, Failure> {
        self.ask_by(&self.recipe).await
    }

    async fn ask_by(&self, recipe: &Recipe) -> Result<Lookup<Trial>, Failure> {
        self.cache.fetch(&self.key, recipe, &Wire::off(), self.origin.clone()).await
    }

    fn loads(&self) -> u64 {
        self.origin.loads.begun()
    }

    /// Brings the value to where the crowd shall find it. Where that can't be
    /// done, they find nothing.
    async fn prepare(&self) -> Start {
        let left = (self.origin.delay / 2).max(LEFT_MIN);
        let (start, ttl, wait) = match Start::of(&self.recipe) {
            Start::Cold => return Start::Cold,
            Start::AboutToEnd => (Start::AboutToEnd, left + GATHERING, GATHERING),
            Start::JustEnded => (Start::JustEnded, ENDED, ENDED * 2),
        };
        let filled = self.ask_by(&self.recipe.ttl(ttl)).await;
        sleep(wait).await;
        if filled.is_ok_and(|lookup| lookup.fill.ttl().is_some()) { start } else { Start::Cold }
    }

    /// Waits for loads that go on in the background, and for their fills.
    async fn settle(&self) {
        let end = Instant::now() + 2 * self.recipe.hard_timeout + SPARE;
        while self.origin.loads.under_way() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(FILL).await;
    }

    /// Removes what was stored. Where Redis can't be told, the TTL does it.
    async fn clear(&self) {
        let store = self.cache.store();
        if self.recipe.strategy != Strategy::None {
            let _ = store.run::<i64>(store.remove("UNLINK", &self.key), &Wire::off()).await;
        }
    }

    fn told(
        &self,
        start: Start,
        visitors: u32,
        origin_loads: u64,
        tally: &Tally,
        next: Next,
    ) -> Run {
        let from = |source: Source| tally.sources[source as usize];
        Run {
            recipe: self.recipe.name,
            about: self.recipe.about,
            start,
            visitors,
            origin_loads,
            p50_us: tally.quantile(0.5),
            p99_us: tally.quantile(0.99),
            max_us: tally.quantile(1.0),
            queued: self.cache.engine().queued().1 as u64,
            shed: tally.shed,
            shed_max_us: tally.shed_max_us,
            failed: tally.failed,
            failure: tally.failure.as_ref().map(Failure::to_string),
            trouble: tally.trouble.clone(),
            from_database: from(Source::Database),
            from_cache: from(Source::Cache) + from(Source::Memory),
            stale: from(Source::Stale),
            next,
        }
    }
}

async fn await_tracking(engine: &Engine) {
    let end = Instant::now() + TRACKING;
    while !engine.near().1 && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}
