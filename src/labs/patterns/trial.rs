//! Trials run wrong and right variants under the same concurrent load and count the
//! results.
//!
//! The actors are tasks in this process, on a thread and connections of their own, so
//! that they don't delay page requests. One trial runs at a time, because concurrent ones
//! would distort each other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, Client, HealthMonitor, RedisError},
    time::millis,
};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    BoxFuture, RedisPattern,
    args::{Args, Field},
    trial_run::TrialRun,
};
use crate::labs::support::{
    run_lock::{RunLock, RunLockError},
    visitor_keys::VisitorKeys,
};

/// Number of connections that the actors share.
const CONNECTIONS: usize = 4;
/// Timeout for connecting.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum duration of all variants together; they usually take a few seconds.
const MAX_DURATION: Duration = Duration::from_secs(15);

/// A trial.
pub struct Trial {
    /// Description of the actors, in a few sentences.
    pub about: &'static str,
    /// The counted quantity, in plural.
    pub counts: &'static str,
    /// The label of missing ones.
    pub lost: &'static str,
    /// The label of excess ones.
    pub over: &'static str,
    /// Its fields: `actors` first, then others.
    pub fields: &'static [Field],
    /// Its variants in the order of running, wrong ones first.
    pub variants: &'static [Variant],
}

/// A way to implement the pattern.
pub struct Variant {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a right way.
    pub is_right: bool,
    /// The commands of each actor, as pseudocode.
    pub code: &'static str,
    /// Runs the actors and counts the results.
    pub run: for<'a> fn(&'a Arc<TrialRun>) -> BoxFuture<'a, Result<Count, RedisError>>,
}

/// The counts of a variant.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// The expected count.
    pub expected: u64,
    /// The actual count.
    pub got: u64,
    /// Further counts.
    pub also: Vec<ExtraCount>,
}

/// A further count.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExtraCount {
    /// Its name for programs.
    pub name: &'static str,
    /// Its label on the page.
    pub label: &'static str,
    /// The count.
    pub count: u64,
    /// Whether any count above 0 is an error.
    pub is_bad: bool,
}

/// The report of a trial.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrialReport {
    /// Number of concurrent actors per variant.
    pub actors: u64,
    /// Total duration in milliseconds.
    pub took_ms: u64,
    /// The variants, in the order of running.
    pub variants: Vec<VariantReport>,
}

/// The report of a variant.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VariantReport {
    /// The name of the variant.
    pub name: &'static str,
    /// Whether it is a right way.
    pub is_right: bool,
    /// The expected count.
    pub expected: u64,
    /// The actual count.
    pub got: u64,
    /// Number of missing ones.
    pub lost: u64,
    /// Number of excess ones.
    pub over: u64,
    /// Further counts.
    pub also: Vec<ExtraCount>,
    /// Median duration per actor, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// Maximum, in microseconds.
    pub max_us: u64,
}

/// The error of a trial.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TrialError {
    /// Another measurement is running, or the run was aborted.
    #[error(transparent)]
    RunLock(#[from] RunLockError),
    /// Redis failed.
    #[error(transparent)]
    Failed(#[from] RedisError),
    /// The trial exceeded its time limit.
    #[error("the trial did not finish in time")]
    TooLong,
}

/// Runs trials, one at a time.
#[derive(Clone)]
pub struct Trials {
    address: Address,
    prefix: Arc<str>,
    run_lock: RunLock,
}

impl Trials {
    /// Trials on this Redis, under this key prefix.
    pub fn new(address: &Address, prefix: &str, run_lock: &RunLock) -> Self {
        Self { address: address.clone(), prefix: prefix.into(), run_lock: run_lock.clone() }
    }

    /// Runs all variants of a pattern's trial to completion, even if the client
    /// disconnects. `store` removes leftover keys if Redis fails during the trial.
    pub async fn run(
        &self,
        store: &Client,
        pattern: &'static RedisPattern,
        demo: &VisitorKeys,
        args: &Args,
    ) -> Result<TrialReport, TrialError> {
        // Fails fast: the trial's own connections would wait for Redis and log the
        // failure again.
        store.ping().await?;
        let (this, store, demo, args) = (self.clone(), store.clone(), demo.clone(), args.clone());
        let work = async move || this.measure(&store, &pattern.trial, &demo, &args).await;
        self.run_lock.run("trial", work).await?
    }

    async fn measure(
        &self,
        later: &Client,
        trial: &Trial,
        demo: &VisitorKeys,
        args: &Args,
    ) -> Result<TrialReport, TrialError> {
        let since = Instant::now();
        let health = Arc::new(HealthMonitor::default());
        let open = |_| Client::open(&self.address, &self.prefix, &health);
        let stores: Vec<_> = (0..CONNECTIONS).map(open).collect();
        for store in &stores {
            store.ready(TIMEOUT).await?;
        }
        let mut variants = Vec::new();
        for variant in trial.variants {
            let trial_run = Arc::new(TrialRun::new(&self.address, &stores, demo, args));
            let left = MAX_DURATION.saturating_sub(since.elapsed());
            let counted = timeout(left, (variant.run)(&trial_run)).await;
            trial_run.clear(!matches!(counted, Ok(Ok(_))), later).await;
            variants.push(VariantReport::of(
                variant,
                counted.map_err(|_| TrialError::TooLong)??,
                &trial_run,
            ));
        }
        Ok(TrialReport {
            actors: u64::from(args.number("actors")),
            took_ms: millis(since.elapsed()),
            variants,
        })
    }
}

impl TrialReport {
    /// Total duration in microseconds.
    pub fn took_us(&self) -> u64 {
        self.took_ms * 1_000
    }
}

impl VariantReport {
    fn of(variant: &Variant, counted: Count, trial_run: &TrialRun) -> Self {
        let Count { expected, got, also } = counted;
        let [p50_us, p99_us, max_us] = trial_run.times();
        Self {
            name: variant.name,
            is_right: variant.is_right,
            expected,
            got,
            lost: expected.saturating_sub(got),
            over: got.saturating_sub(expected),
            also,
            p50_us,
            p99_us,
            max_us,
        }
    }

    /// Whether all counts are as expected.
    pub fn is_exact(&self) -> bool {
        self.lost == 0 && self.over == 0 && self.also.iter().all(|it| !it.is_bad || it.count == 0)
    }
}

impl Count {
    /// The expected and the actual count.
    pub fn new(expected: u64, got: u64) -> Self {
        Self { expected, got, also: Vec::new() }
    }

    /// Adds a count that should be 0.
    pub fn with_violation(self, name: &'static str, label: &'static str, count: u64) -> Self {
        self.and(ExtraCount { name, label, count, is_bad: true })
    }

    /// Adds an informational count.
    pub fn with_extra(self, name: &'static str, label: &'static str, count: u64) -> Self {
        self.and(ExtraCount { name, label, count, is_bad: false })
    }

    fn and(mut self, tally: ExtraCount) -> Self {
        self.also.push(tally);
        self
    }
}
