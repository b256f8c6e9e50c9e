//! The run of one policy, and its result.

use std::sync::Arc;

use crate::demo::load_error::LoadError;
use hitrate_cache::Source;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    burst::{self, BurstTally, FollowUp},
    scenario::{MARGIN, Scenario, Start},
};

/// The result of one policy's run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyRun {
    /// The policy.
    pub policy: &'static str,
    /// A description of the policy, in one line.
    pub about: &'static str,
    /// The state of the key at the start.
    pub start: Start,
    /// Number of visitors.
    pub visitors: u32,
    /// Number of database loads, counted by the origin.
    pub origin_loads: u64,
    /// Median response time from the signal on, in microseconds; null if no visitor was
    /// answered.
    pub p50_us: Option<u64>,
    /// 99th percentile in microseconds.
    pub p99_us: Option<u64>,
    /// Maximum in microseconds.
    pub max_us: Option<u64>,
    /// Maximum number of loads queued at the bulkhead.
    pub queued: u64,
    /// Visitors rejected because the queue was full.
    pub rejected: u64,
    /// The slowest rejection, in microseconds.
    pub rejected_max_us: Option<u64>,
    /// Visitors without a response for other reasons.
    pub failed: u64,
    /// The first of these reasons; null if there is none.
    pub failure: Option<String>,
    /// The Redis error when storing a value; null if it was stored.
    pub error: Option<String>,
    /// Responses from the database.
    pub from_database: u64,
    /// Responses from a fresh copy.
    pub from_cache: u64,
    /// Responses from a stale copy.
    pub stale: u64,
    /// The requests after the burst.
    pub follow_up: FollowUp,
}

impl PolicyRun {
    /// An empty run, for tests.
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
            rejected: 0,
            rejected_max_us: None,
            failed: 0,
            failure: None,
            error: None,
            from_database: 0,
            from_cache: 0,
            stale: 0,
            follow_up: FollowUp::default(),
        }
    }

    /// The results of the burst; [`run`] adds the rest.
    fn of(scenario: &Scenario, tally: &BurstTally) -> Self {
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
            queued: scenario.cache.health().max_queued_loads as u64,
            rejected: tally.rejected,
            rejected_max_us: tally.rejected_max_us,
            failed: tally.failed,
            failure: tally.failure.as_ref().map(LoadError::to_string),
            error: tally.error.clone(),
            from_database: from(Source::Database),
            from_cache: from(Source::Cache) + from(Source::Memory),
            stale: from(Source::Stale),
            follow_up: FollowUp::default(),
        }
    }

    /// Number of visitors that got a value.
    pub fn answered(&self) -> u64 {
        self.from_database + self.from_cache + self.stale
    }
}

/// Runs one policy: prepares the scenario, sends the burst and the follow-up requests,
/// and removes the key. Returns the first failure of a visitor, too.
pub async fn run(scenario: Scenario, visitors: u32) -> (PolicyRun, Option<LoadError>) {
    let scenario = Arc::new(scenario);
    let start = scenario.prepare().await;
    let before = scenario.loads();
    let limit = scenario.policy.cache.hard_timeout * 2 + MARGIN;
    let tally = burst::burst(&scenario, visitors, limit).await;
    scenario.settle().await;
    let after = scenario.loads();
    let next = follow_up(&scenario, after).await;
    scenario.clear().await;
    let run = PolicyRun {
        start,
        visitors,
        origin_loads: after - before,
        follow_up: next,
        ..PolicyRun::of(&scenario, &tally)
    };
    (run, tally.cause())
}

/// Sends the follow-up requests. Without Redis, each would only wait for the database
/// again.
async fn follow_up(scenario: &Arc<Scenario>, before: u64) -> FollowUp {
    if scenario.cache.client().is_unavailable() {
        return FollowUp { skipped: true, ..FollowUp::default() };
    }
    let next = burst::follow_up(scenario).await;
    let origin_loads = scenario.loads() - before;
    scenario.settle().await;
    FollowUp { origin_loads, ..next }
}
