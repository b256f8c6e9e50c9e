//! Measures a cache stampede: many visitors request one key at the same moment, under one
//! policy after another, and the database loads and response times are counted.
//!
//! Visitors are tasks in this process, without HTTP. They have a thread, a Redis
//! connection, a cache and counters of their own, so that
//! they don't delay page requests, cause rejections or change the hit ratio. The database
//! and its loads are real.

mod burst;
mod claims;
mod explanation;
mod origin;
mod run;
mod scenario;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, Client, HealthMonitor},
    time::millis,
};
use serde::Serialize;
use utoipa::ToSchema;

use self::scenario::Scenario;
pub use self::{burst::FollowUp, claims::check_claims, run::PolicyRun, scenario::Start};
use crate::{
    demo::{db::Db, load_error::LoadError, policy::Policy},
    labs::support::{
        result_store::{RequestedRun, ResultStore, RunToken},
        run_lock::{RunLock, RunLockError},
    },
};

/// Maximum number of visitors: three times the capacity of the bulkhead and its queue.
pub const VISITORS_MAX: u32 = 1_000;
/// Default number of visitors.
pub const VISITORS: u32 = 100;
/// Maximum simulated database delay, in milliseconds.
pub const DELAY_MS_MAX: u32 = 5_000;
/// Default database delay, in milliseconds: longer than the soft timeout, so that serving
/// a stale value is visibly faster than waiting.
pub const DELAY_MS: u32 = 200;
/// Default policies: the tutorial's, and one protection at a time.
pub const DEFAULTS: [&str; 5] =
    ["cache-aside", "single-flight", "lease", "early-refresh", "stale-while-revalidate"];

/// No policy starts later than this, because the client is waiting.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Timeout for connecting; without a connection the run continues without Redis.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum number of results kept, some kilobytes each.
const RESULTS_MAX: u64 = 64;

/// The parameters of a measurement.
#[derive(Debug, Clone)]
pub struct StampedePlan {
    /// The policies, in order, each at most once.
    pub policies: Vec<Policy>,
    /// 1 to [`VISITORS_MAX`].
    pub visitors: u32,
    /// Simulated additional latency of the database.
    pub delay: Duration,
}

/// The result of a measurement.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StampedeOutcome {
    /// Number of visitors per policy.
    pub visitors: u64,
    /// Simulated database delay, in milliseconds.
    pub delay_ms: u64,
    /// Total duration in milliseconds, including preparation.
    pub took_ms: u64,
    /// The runs, in the order of the policies.
    pub runs: Vec<PolicyRun>,
    /// Policies that were skipped for lack of time.
    pub skipped: Vec<&'static str>,
}

/// The error of a measurement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StampedeError {
    /// Another measurement is running, or the run was aborted.
    #[error(transparent)]
    RunLock(#[from] RunLockError),
    /// No visitor got a response.
    #[error(transparent)]
    Failed(#[from] LoadError),
}

/// Runs stampedes, one at a time, and keeps their results.
#[derive(Clone)]
pub struct Stampedes {
    address: Address,
    prefix: Arc<str>,
    db: Arc<Db>,
    run_lock: RunLock,
    results: ResultStore<RunToken, StampedeOutcome>,
}

impl Stampedes {
    /// Stampedes on this Redis, under this key prefix, and on this database.
    pub fn new(address: &Address, prefix: &str, db: &Arc<Db>, run_lock: &RunLock) -> Self {
        Self {
            address: address.clone(),
            prefix: prefix.into(),
            db: Arc::clone(db),
            run_lock: run_lock.clone(),
            results: ResultStore::with_max_entries(RESULTS_MAX),
        }
    }

    /// All policies that can be measured.
    pub fn policies() -> impl Iterator<Item = Policy> {
        let [none, plain, rest @ ..] = Policy::ALL;
        [plain].into_iter().chain(Policy::ISOLATED).chain([none]).chain(rest)
    }

    /// The result that a request names.
    pub fn requested(&self, run: Option<&str>) -> RequestedRun<StampedeOutcome> {
        self.results.requested(run, |_| true)
    }

    /// Runs a stampede to completion, even if the client disconnects. Returns the token
    /// of the result.
    pub async fn run(
        &self,
        plan: StampedePlan,
    ) -> Result<(RunToken, Arc<StampedeOutcome>), StampedeError> {
        let this = self.clone();
        let work = async move || {
            let key = format!("{:016x}", rand::random::<u64>());
            Ok(this.results.add(this.measure(&plan, &key).await?))
        };
        self.run_lock.run("stampede", work).await?
    }

    async fn measure(&self, plan: &StampedePlan, name: &str) -> Result<StampedeOutcome, LoadError> {
        let since = Instant::now();
        let store = Client::open(&self.address, &self.prefix, &Arc::new(HealthMonitor::default()));
        // Measures without Redis, too: each run reports the error.
        let _ = store.ready(TIMEOUT).await;
        let (mut runs, mut failure) = (Vec::new(), None);
        for policy in plan.policies.iter().take_while(|_| since.elapsed() < START_WITHIN) {
            let scenario = Scenario::new(self, &store, policy, plan, name).await;
            let (run, failed) = run::run(scenario, plan.visitors).await;
            runs.push(run);
            failure = failure.or(failed);
        }
        match failure {
            Some(failure) if runs.iter().all(|run| run.answered() == 0) => Err(failure),
            _ => Ok(StampedeOutcome::of(plan, runs, since)),
        }
    }
}

impl StampedeOutcome {
    fn of(plan: &StampedePlan, runs: Vec<PolicyRun>, since: Instant) -> Self {
        Self {
            visitors: u64::from(plan.visitors),
            delay_ms: millis(plan.delay),
            took_ms: millis(since.elapsed()),
            skipped: plan.policies[runs.len()..].iter().map(|policy| policy.name).collect(),
            runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_measured_once_and_the_defaults_come_first() {
        let names: Vec<_> = Stampedes::policies().map(|policy| policy.name).collect();
        assert_eq!(names.len(), Policy::ALL.len() + Policy::ISOLATED.len());
        assert_eq!(names[..DEFAULTS.len()], DEFAULTS);
        assert!(names.iter().all(|name| names.iter().filter(|it| *it == name).count() == 1));
    }
}
