//! A stampede, measured: many visitors ask for one key at the same moment, under
//! one policy after the other, and what that costs the database and them is
//! counted.
//!
//! Visitors are tasks in this process, without HTTP. They have a thread, a
//! connection to Redis, an [`Engine`](hitrate_cache::Engine) and counters of their own: nobody who
//! looks at a page meanwhile waits behind them, is turned away for them, or
//! finds them in the hit ratio. The database is the real one, as is every load.

mod claims;
mod crowd;
mod origin;
mod run;
mod scenario;
mod story;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    CachePolicy, FetchError,
    redis::{Address, Health, Store},
    time::millis,
};
use serde::Serialize;
use utoipa::ToSchema;

use self::scenario::Scenario;
pub use self::{claims::held_against, crowd::FollowUp, run::PolicyRun, scenario::Start};
use crate::{
    demo::db::Db,
    labs::support::{
        result_store::{RequestedRun, ResultStore, RunToken},
        run_lock::{RunLock, RunLockError},
    },
};

/// The most visitors at once: three times what may load and wait at the origin.
pub const VISITORS_MAX: u32 = 1_000;
/// Visitors, unless said otherwise.
pub const VISITORS: u32 = 100;
/// The longest simulated delay of the database, in milliseconds.
pub const DELAY_MS_MAX: u32 = 5_000;
/// That delay, unless said otherwise: longer than the soft timeout of grace, so
/// that serving a stale value is seen to be quicker than waiting.
pub const DELAY_MS: u32 = 200;
/// The documents' way and one protection at a time: what runs unless said otherwise.
pub const DEFAULTS: [&str; 5] =
    ["cache-aside", "single-flight", "lease", "early-refresh", "stale-while-revalidate"];

/// No policy is begun later than this: whoever waits for the answer won't wait longer.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);
/// How long the connection may take to be there, else it runs without Redis.
const TIMEOUT: Duration = Duration::from_millis(500);
/// The most results that are kept: some kilobytes each.
const RESULTS_MAX: u64 = 64;

/// What to measure.
#[derive(Debug, Clone)]
pub struct StampedePlan {
    /// One after the other, each at most once.
    pub policies: Vec<CachePolicy>,
    /// 1 to [`VISITORS_MAX`].
    pub visitors: u32,
    /// How long the database shall take longer than it does.
    pub delay: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StampedeOutcome {
    /// Who came at once, for each policy.
    pub visitors: u64,
    /// The simulated delay of the database, in milliseconds.
    pub delay_ms: u64,
    /// Milliseconds for all of it, preparations included.
    pub took_ms: u64,
    /// In the order they were asked for.
    pub runs: Vec<PolicyRun>,
    /// Policies that were not begun, as there was no time left.
    pub left_out: Vec<&'static str>,
}

/// Why there is nothing to show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StampedeError {
    /// It is another's turn.
    #[error(transparent)]
    Turn(#[from] RunLockError),
    /// No visitor got an answer.
    #[error(transparent)]
    Failed(#[from] FetchError),
}

/// Runs stampedes, one at a time, and keeps what the last ones brought.
#[derive(Clone)]
pub struct Stampedes {
    address: Address,
    prefix: Arc<str>,
    db: Arc<Db>,
    run_lock: RunLock,
    results: ResultStore<RunToken, StampedeOutcome>,
}

impl Stampedes {
    /// On this Redis, under this prefix, and on this database.
    pub fn new(address: &Address, prefix: &str, db: &Arc<Db>, run_lock: &RunLock) -> Self {
        Self {
            address: address.clone(),
            prefix: prefix.into(),
            db: Arc::clone(db),
            run_lock: run_lock.clone(),
            results: ResultStore::with_max_entries(RESULTS_MAX),
        }
    }

    /// Every policy that can be measured.
    pub fn policies() -> impl Iterator<Item = CachePolicy> {
        let [none, plain, rest @ ..] = CachePolicy::ALL;
        [plain].into_iter().chain(CachePolicy::ISOLATED).chain([none]).chain(rest)
    }

    /// The result that a request names.
    pub fn requested(&self, run: Option<&str>) -> RequestedRun<StampedeOutcome> {
        self.results.requested(run, |_| true)
    }

    /// Runs a stampede to its end, even when nobody waits for it any more.
    /// Returns the token of the result.
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

    async fn measure(
        &self,
        plan: &StampedePlan,
        name: &str,
    ) -> Result<StampedeOutcome, FetchError> {
        let since = Instant::now();
        let store = Store::open(&self.address, &self.prefix, &Arc::new(Health::default()));
        // Without Redis it is worth measuring, too: each run tells what was wrong.
        let _ = store.ready(TIMEOUT).await;
        let (mut runs, mut failure) = (Vec::new(), None);
        for policy in plan.policies.iter().take_while(|_| since.elapsed() < BEGUN_WITHIN) {
            let scenario = Scenario::set(self, &store, policy, plan, name).await;
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
            left_out: plan.policies[runs.len()..].iter().map(|policy| policy.name).collect(),
            runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_measured_once_and_the_usual_ones_come_first() {
        let names: Vec<_> = Stampedes::policies().map(|policy| policy.name).collect();
        assert_eq!(names.len(), CachePolicy::ALL.len() + CachePolicy::ISOLATED.len());
        assert_eq!(names[..DEFAULTS.len()], DEFAULTS);
        assert!(names.iter().all(|name| names.iter().filter(|it| *it == name).count() == 1));
    }
}
