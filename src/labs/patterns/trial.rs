//! Trials: wrong and right ways under the same concurrent load, counted.
//!
//! The actors are tasks in this process, on a thread of their own and on
//! several connections of their own: nobody who looks at a page meanwhile waits
//! behind them. One trial runs at a time, so that two don't measure each other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, Health, RedisError, Store},
    time::millis,
};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    BoxFuture, Pattern,
    args::{Args, Field},
    trial_run::TrialRun,
};
use crate::labs::support::{
    run_lock::{RunLock, RunLockError},
    visitor_keys::VisitorKeys,
};

/// Connections that the actors share.
const CONNECTIONS: usize = 4;
/// How long they may take to be there.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long all ways together may take: they take some seconds at most.
const MAX_DURATION: Duration = Duration::from_secs(15);

/// What is tried.
pub struct Trial {
    /// What the actors do, in a sentence or two.
    pub about: &'static str,
    /// What is counted, and should be as expected.
    pub counts: &'static str,
    /// What it means when there are fewer.
    pub lost: &'static str,
    /// What it means when there are more.
    pub over: &'static str,
    /// `actors` first, then what else can be set.
    pub fields: &'static [Field],
    /// One after the other, the wrong ones first.
    pub variants: &'static [Variant],
}

/// One way to do it.
pub struct Variant {
    /// What it is called.
    pub name: &'static str,
    /// Whether it is one to use.
    pub is_right: bool,
    /// What each actor does, as one would write it down.
    pub code: &'static str,
    /// Lets the actors do it, and counts.
    pub run: for<'a> fn(&'a Arc<TrialRun>) -> BoxFuture<'a, Result<Count, RedisError>>,
}

/// What was counted of one way.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// How many there should be.
    pub expected: u64,
    /// How many there are.
    pub got: u64,
    /// What else was counted.
    pub also: Vec<ExtraCount>,
}

/// Something else that was counted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExtraCount {
    /// A word for programs.
    pub name: &'static str,
    /// For persons.
    pub label: &'static str,
    /// How many.
    pub count: u64,
    /// Whether there should be none.
    pub is_bad: bool,
}

/// What a trial brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrialReport {
    /// How many acted at once, for each way.
    pub actors: u64,
    /// Milliseconds for all of it.
    pub took_ms: u64,
    /// In the order they ran.
    pub variants: Vec<VariantReport>,
}

/// What one way brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VariantReport {
    /// The way.
    pub name: &'static str,
    /// Whether it is one to use.
    pub is_right: bool,
    /// How many there should be.
    pub expected: u64,
    /// How many there are.
    pub got: u64,
    /// How many are missing.
    pub lost: u64,
    /// How many are too many.
    pub over: u64,
    /// What else was counted.
    pub also: Vec<ExtraCount>,
    /// Half of the actors took at most this many microseconds for all they did.
    pub p50_us: u64,
    /// 99 of 100 took at most this many.
    pub p99_us: u64,
    /// The slowest, in microseconds.
    pub max_us: u64,
}

/// Why there is nothing to tell.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TrialError {
    /// It is another's turn.
    #[error(transparent)]
    Turn(#[from] RunLockError),
    /// Redis went away, or was not there.
    #[error(transparent)]
    Failed(#[from] RedisError),
    /// The machine had too much to do.
    #[error("the trial did not end in time")]
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
    /// On this Redis, under this prefix.
    pub fn new(address: &Address, prefix: &str, run_lock: &RunLock) -> Self {
        Self { address: address.clone(), prefix: prefix.into(), run_lock: run_lock.clone() }
    }

    /// Lets every way of the pattern's trial run to its end, even when nobody
    /// waits for it any more. `store` removes what it leaves behind when Redis
    /// goes away in the middle.
    pub async fn run(
        &self,
        store: &Store,
        pattern: &'static Pattern,
        demo: &VisitorKeys,
        args: &Args,
    ) -> Result<TrialReport, TrialError> {
        // A trial's own connections would wait for it, and tell the log again.
        store.ping().await?;
        let (this, store, demo, args) = (self.clone(), store.clone(), demo.clone(), args.clone());
        let work = async move || this.measure(&store, &pattern.trial, &demo, &args).await;
        self.run_lock.run("trial", work).await?
    }

    async fn measure(
        &self,
        later: &Store,
        trial: &Trial,
        demo: &VisitorKeys,
        args: &Args,
    ) -> Result<TrialReport, TrialError> {
        let since = Instant::now();
        let health = Arc::new(Health::default());
        let open = |_| Store::open(&self.address, &self.prefix, &health);
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
    /// Microseconds for all of it.
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

    /// Whether everything is as it should be.
    pub fn is_exact(&self) -> bool {
        self.lost == 0 && self.over == 0 && self.also.iter().all(|it| !it.is_bad || it.count == 0)
    }
}

impl Count {
    /// So many expected, so many there.
    pub fn new(expected: u64, got: u64) -> Self {
        Self { expected, got, also: Vec::new() }
    }

    /// And so many of something that should not be.
    pub fn bad(self, name: &'static str, label: &'static str, count: u64) -> Self {
        self.and(ExtraCount { name, label, count, is_bad: true })
    }

    /// And so many of something worth knowing.
    pub fn known(self, name: &'static str, label: &'static str, count: u64) -> Self {
        self.and(ExtraCount { name, label, count, is_bad: false })
    }

    fn and(mut self, tally: ExtraCount) -> Self {
        self.also.push(tally);
        self
    }
}
