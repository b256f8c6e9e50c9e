//! Runs steps on one profile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    CacheState, Effect, Invalidated, Lookup, Source,
    time::micros,
    trace::{RoundTrip, Target, Trace},
};

use super::{Snapshot, StepResult, StrategyRun, StrategyStep, run::DELAY_MAX};
use crate::{
    demo::{
        CACHE_NAME,
        db::Db,
        load_error::LoadError,
        model::{AGE_MAX, Profile, ProfileEdit, UserId},
        policy::Policy,
        profiles::{self, Profiles},
    },
    format,
    labs::support::timeline::Timeline,
};

/// Number of concurrent readers. See [`StrategyRunner::concurrent_reads`].
const READERS: usize = 3;
/// Maximum wait for the flush of a write: longer than a flusher needs to retry after a
/// failure.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Interval of polling for the flush.
const FLUSH_POLL: Duration = Duration::from_millis(20);

/// Runs steps on one profile.
pub struct StrategyRunner {
    /// The worker's profiles.
    pub profiles: Profiles,
    /// The database.
    pub db: Arc<Db>,
    /// The id of the profile.
    pub id: UserId,
    /// The policy.
    pub policy: Policy,
    /// Simulated latency of each database read.
    pub delay: Duration,
}

impl StrategyRunner {
    /// The current snapshot.
    pub async fn snapshot(&self) -> Snapshot {
        Snapshot::read(&self.profiles, &self.db, &self.id).await
    }

    /// Runs the demo run of the policy.
    ///
    /// # Errors
    /// An error of the database.
    pub async fn run(self) -> Result<Vec<StepResult>, LoadError> {
        let run = StrategyRun::of(&self.policy);
        let delay = self.delay.min(DELAY_MAX);
        let policy = run.ttl.map_or(self.policy, |ttl| self.policy.ttl(ttl));
        let runner = Self { delay, policy, ..self };
        let mut results = Vec::with_capacity(run.steps.len());
        for step in run.steps {
            results.push(runner.act(*step).await?);
        }
        Ok(results)
    }

    /// Runs one step.
    ///
    /// # Errors
    /// An error of the database.
    pub async fn act(&self, step: StrategyStep) -> Result<StepResult, LoadError> {
        let next = if step == StrategyStep::Write { self.next().await } else { None };
        let (trace, start) = (Trace::start(), Instant::now());
        let outcome = self.perform(step, next.as_ref(), &trace).await?;
        let took = start.elapsed();
        let request = self.request(step, next.as_ref());
        let timeline = Timeline::new(request, &trace, outcome.response.clone(), took);
        Ok(self.step_result(step, outcome, timeline).await)
    }

    async fn perform(
        &self,
        step: StrategyStep,
        next: Option<&Profile>,
        trace: &Trace,
    ) -> Result<StepOutcome, LoadError> {
        match step {
            StrategyStep::Read => self.read(trace).await,
            StrategyStep::Write => self.write(next, trace).await,
            StrategyStep::Invalidate => Ok(self.invalidate(trace).await),
            StrategyStep::ConcurrentReads => self.concurrent_reads(trace).await,
            StrategyStep::Flush => Ok(self.flush(trace).await),
            StrategyStep::Pause(time) => Ok(pause(time, trace).await),
        }
    }

    async fn step_result(
        &self,
        step: StrategyStep,
        outcome: StepOutcome,
        timeline: Timeline,
    ) -> StepResult {
        let StepOutcome { message, source, effect, version, cache_status, .. } = outcome;
        StepResult {
            number: 0,
            act: step.name(),
            policy: self.policy.name,
            message,
            source,
            effect,
            version,
            elapsed_us: timeline.elapsed_us,
            snapshot: self.snapshot().await,
            timeline,
            cache_status,
        }
    }

    /// The profile with the next age, which a write stores.
    async fn next(&self) -> Option<Profile> {
        let now = self.snapshot().await;
        let now = now.latest()?;
        let age = if now.age < AGE_MAX { now.age + 1 } else { 0 };
        Some(Profile { age, ..Profile::clone(now) })
    }

    fn request(&self, step: StrategyStep, next: Option<&Profile>) -> String {
        let id = &self.id;
        match (step, next) {
            (StrategyStep::Write, Some(next)) => format!("write age {} to profile {id}", next.age),
            (StrategyStep::ConcurrentReads, _) => {
                format!("read profile {id}, {READERS} readers at once")
            }
            (StrategyStep::Flush, _) => "wait for the flush".to_owned(),
            (StrategyStep::Pause(_), _) => "wait".to_owned(),
            (step, _) => format!("{} profile {id}", step.name()),
        }
    }

    async fn read(&self, trace: &Trace) -> Result<StepOutcome, LoadError> {
        let lookup = self.find(trace).await?;
        Ok(StepOutcome {
            message: profiles::message(&self.id, &lookup),
            response: response_text(&lookup),
            source: Some(lookup.source),
            version: lookup.version,
            cache_status: Some(lookup.cache_status(CACHE_NAME)),
            ..StepOutcome::default()
        })
    }

    async fn find(&self, trace: &Trace) -> Result<Lookup<Profile>, LoadError> {
        self.profiles.find(&self.id, &self.policy, self.delay, trace).await
    }

    /// If `next` is none, the profile could not be read: reports the reason.
    async fn write(&self, next: Option<&Profile>, trace: &Trace) -> Result<StepOutcome, LoadError> {
        let Some(next) = next else { return self.nothing_to_write().await };
        let Profile { name, email, age, .. } = next.clone();
        let edit = ProfileEdit { name, email, age };
        let written = self.profiles.edit(&self.id, edit, &self.policy, trace).await?;
        Ok(StepOutcome {
            message: format!("The age is now {age}. {}", profiles::edit_message(&written)),
            response: written.version.map_or_else(nothing, |version| format!("version {version}")),
            effect: Some(effect(&written.effect)),
            version: written.version,
            ..StepOutcome::default()
        })
    }

    async fn nothing_to_write(&self) -> Result<StepOutcome, LoadError> {
        self.db.inspect_profile(&self.id).await?;
        let (message, response) = ("There is no profile to change.".to_owned(), nothing());
        Ok(StepOutcome { message, response, ..StepOutcome::default() })
    }

    async fn invalidate(&self, trace: &Trace) -> StepOutcome {
        let invalidated = self.profiles.invalidate(&self.id, &self.policy, trace).await;
        let effect = match &invalidated {
            Invalidated::Dropped => "invalidated",
            Invalidated::Nothing => "nothing",
            Invalidated::Kept => "kept",
            _ => "deferred",
        };
        let (message, response) = (profiles::invalidation_message(&invalidated), effect.to_owned());
        StepOutcome { message, response, effect: Some(effect), ..StepOutcome::default() }
    }

    /// [`READERS`] concurrent reads.
    async fn concurrent_reads(&self, trace: &Trace) -> Result<StepOutcome, LoadError> {
        let (a, b, c) = tokio::join!(self.find(trace), self.find(trace), self.find(trace));
        let (lookup, _, _) = (a?, b?, c?);
        let queries = trace.spans().iter().filter(|step| step.target == Target::Database).count();
        let times = if queries == 1 { "once".to_owned() } else { format!("{queries} times") };
        Ok(StepOutcome {
            message: format!("{READERS} concurrent readers queried the database {times}."),
            response: format!("{READERS} × {}", response_text(&lookup)),
            source: Some(lookup.source),
            version: lookup.version,
            ..StepOutcome::default()
        })
    }

    /// Waits until the pending write has been flushed, up to [`FLUSH_MAX`].
    async fn flush(&self, trace: &Trace) -> StepOutcome {
        let since = Instant::now();
        let is_pending = async || {
            let held = self.profiles.inspect(&self.id).await.redis;
            matches!(held, Ok(CacheState::Pending { .. }))
        };
        let mut pending = is_pending().await;
        while pending && since.elapsed() < FLUSH_MAX {
            tokio::time::sleep(FLUSH_POLL).await;
            pending = is_pending().await;
        }
        let response =
            if pending { "the write is still pending" } else { "the write is in the database" };
        trace.event(Target::Hitrate, since, "wait for the background flusher", || {
            response.to_owned()
        });
        let (took, response) = (format::time(&micros(since.elapsed())), response.to_owned());
        StepOutcome {
            message: format!("After {took}, {response}."),
            response,
            ..StepOutcome::default()
        }
    }
}

async fn pause(time: Duration, trace: &Trace) -> StepOutcome {
    let sent = Instant::now();
    tokio::time::sleep(time).await;
    let took = sent.elapsed();
    let trip = RoundTrip { target: Target::Hitrate, sent, took, simulated: took };
    trace.record(trip, || [("pause".to_owned(), "intentional wait".to_owned())]);
    let message = format!("Waited {}.", format::time(&micros(took)));
    StepOutcome { message, response: "done".to_owned(), ..StepOutcome::default() }
}

/// The value that a reader got, and its source.
fn response_text(lookup: &Lookup<Profile>) -> String {
    let from = match lookup.source {
        Source::Cache => "from Redis",
        Source::Database => "from the database",
        Source::Memory => "from the near cache",
        Source::Stale => "expired copy",
    };
    lookup.version.map_or_else(nothing, |version| format!("version {version}, {from}"))
}

fn nothing() -> String {
    "nothing: the profile does not exist".to_owned()
}

/// The name of an effect in JSON.
fn effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Invalidated(true) => "invalidated",
        Effect::Invalidated(false) => "nothing",
        Effect::Stored => "stored",
        Effect::Queued => "queued",
        _ => "deferred",
    }
}

/// The outcome of a step.
#[derive(Default)]
struct StepOutcome {
    message: String,
    response: String,
    source: Option<Source>,
    effect: Option<&'static str>,
    version: Option<u64>,
    cache_status: Option<String>,
}
