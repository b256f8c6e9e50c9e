//! One policy's turn, and what it brought.

use std::sync::Arc;

use hitrate_cache::{FetchError, Source};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    crowd::{self, CrowdTally, FollowUp},
    scenario::{SPARE, Scenario, Start},
};

/// What one policy's turn brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyRun {
    /// The policy.
    pub policy: &'static str,
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
    pub error: Option<String>,
    /// Answered with what the database said.
    pub from_database: u64,
    /// Answered with a copy within its TTL.
    pub from_cache: u64,
    /// Answered with a copy past its TTL.
    pub stale: u64,
    /// The requests after them.
    pub next: FollowUp,
}

impl PolicyRun {
    /// A run before its start, for tests of what is made of one.
    #[cfg(test)]
    pub fn blank() -> Self {
        Self {
            policy: "cache-aside",
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
            error: None,
            from_database: 0,
            from_cache: 0,
            stale: 0,
            next: FollowUp::default(),
        }
    }

    /// What the crowd met, without what is known only around it.
    fn of(scenario: &Scenario, tally: &CrowdTally) -> Self {
        let from = |source: Source| tally.sources[source as usize];
        PolicyRun {
            policy: scenario.policy.name,
            about: scenario.policy.about,
            start: Start::Cold,
            visitors: 0,
            origin_loads: 0,
            p50_us: tally.quantile(0.5),
            p99_us: tally.quantile(0.99),
            max_us: tally.quantile(1.0),
            queued: scenario.cache.engine().queued().1 as u64,
            shed: tally.shed,
            shed_max_us: tally.shed_max_us,
            failed: tally.failed,
            failure: tally.failure.as_ref().map(FetchError::to_string),
            error: tally.error.clone(),
            from_database: from(Source::Database),
            from_cache: from(Source::Cache) + from(Source::Memory),
            stale: from(Source::Stale),
            next: FollowUp::default(),
        }
    }

    /// How many visitors got a value.
    pub fn answered(&self) -> u64 {
        self.from_database + self.from_cache + self.stale
    }
}

/// The whole turn: the scenario is prepared, the crowd comes, then a few more
/// requests, and the key is removed. The failure is the first that a visitor met.
pub async fn run(scenario: Scenario, visitors: u32) -> (PolicyRun, Option<FetchError>) {
    let scenario = Arc::new(scenario);
    let start = scenario.prepare().await;
    let before = scenario.loads();
    let limit = scenario.policy.hard_timeout * 2 + SPARE;
    let tally = crowd::burst(&scenario, visitors, limit).await;
    scenario.settle().await;
    let after = scenario.loads();
    let next = follow_up(&scenario, after).await;
    scenario.clear().await;
    let run = PolicyRun {
        start,
        visitors,
        origin_loads: after - before,
        next,
        ..PolicyRun::of(&scenario, &tally)
    };
    (run, tally.cause())
}

/// The requests after the crowd. Without Redis each of them would only wait
/// for the database once more.
async fn follow_up(scenario: &Arc<Scenario>, before: u64) -> FollowUp {
    if scenario.cache.store().is_unavailable() {
        return FollowUp { left_out: true, ..FollowUp::default() };
    }
    let next = crowd::follow_up(scenario).await;
    let origin_loads = scenario.loads() - before;
    scenario.settle().await;
    FollowUp { origin_loads, ..next }
}
