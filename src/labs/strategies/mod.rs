//! Trying a strategy on one profile: one move at a time, or a run of several.
//! After each, what database, Redis and near cache hold is noted beside the
//! timeline of how it went.

mod columns;
mod runs;
mod visits;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    Cache, CachePolicy, CacheState, Effect, FetchError, Invalidated, Lookup, Source,
    time::micros,
    trace::{RoundTrip, Target, Trace},
};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    columns::{Compared, Contents, Snapshot, StoreState},
    runs::{Run, Step},
    visits::StrategySession,
};
use crate::{
    demo::{
        db::Db,
        keys,
        model::{AGE_MAX, Profile, ProfileEdit, UserId},
        profiles,
    },
    format,
    labs::support::timeline::Timeline,
    schemas,
};

/// How many readers come at once in a crowd. See [`Session::crowd`].
const CROWD: usize = 3;
/// How long a run waits for the flush of a write: longer than a flusher that
/// tries again after a fault.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Between two looks whether it was flushed.
const FLUSH_LOOK: Duration = Duration::from_millis(20);

/// What a move did, and what was held where after it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepResult {
    /// Its number in the visit, from 1.
    pub number: usize,
    /// `read`, `write`, `invalidate`, `crowd`, `flush` or `pause`.
    pub act: &'static str,
    /// By which policy.
    pub policy: &'static str,
    /// What happened, in a sentence or two.
    pub message: String,
    /// Who response a read.
    #[schema(value_type = Option<schemas::Source>)]
    pub source: Option<Source>,
    /// What a write or an invalidation did to the copy in Redis: `invalidated`, `nothing`, `stored`,
    /// `queued`, `kept`, `deferred` or `untold`.
    pub effect: Option<&'static str>,
    /// The version that was read or written.
    pub version: Option<u64>,
    /// Microseconds it took, simulated time included.
    pub elapsed_us: u64,
    /// What was held where after it.
    #[serde(flatten)]
    pub columns: Snapshot,
    /// How it went.
    #[serde(skip)]
    pub timeline: Timeline,
    /// `Cache-Status` of a read.
    #[serde(skip)]
    pub cache_status: Option<String>,
}

/// What a move came to.
#[derive(Default)]
struct StepOutcome {
    message: String,
    response: String,
    source: Option<Source>,
    effect: Option<&'static str>,
    version: Option<u64>,
    cache_status: Option<String>,
}

/// One profile, and how it is cached.
pub struct Session {
    /// The worker's cache.
    pub cache: Cache,
    /// The database behind it.
    pub db: Arc<Db>,
    /// Whose profile.
    pub id: UserId,
    /// How it is cached.
    pub policy: CachePolicy,
    /// Simulated latency of each read of the database.
    pub delay: Duration,
}

impl Session {
    /// What is held where at the moment.
    pub async fn look(&self) -> Snapshot {
        Snapshot::look(&self.cache, &self.db, &self.id).await
    }

    /// The moves of the policy's run, one after the other.
    ///
    /// # Errors
    /// What goes wrong at the database.
    pub async fn run(self) -> Result<Vec<StepResult>, FetchError> {
        let run = Run::of(&self.policy);
        let delay = self.delay.min(runs::DELAY_MAX);
        let policy = run.ttl.map_or(self.policy, |ttl| self.policy.ttl(ttl));
        let session = Self { delay, policy, ..self };
        let mut acts = Vec::with_capacity(run.steps.len());
        for one in run.steps {
            acts.push(session.act(*one).await?);
        }
        Ok(acts)
    }

    /// One move.
    ///
    /// # Errors
    /// What goes wrong at the database.
    pub async fn act(&self, one: Step) -> Result<StepResult, FetchError> {
        let next = if one == Step::Write { self.next().await } else { None };
        let (trace, start) = (Trace::start(), Instant::now());
        let outcome = self.perform(one, next.as_ref(), &trace).await?;
        let took = start.elapsed();
        let request = self.request(one, next.as_ref());
        let timeline = Timeline::new(request, &trace, outcome.response.clone(), took);
        Ok(self.acted(one, outcome, timeline).await)
    }

    async fn perform(
        &self,
        one: Step,
        next: Option<&Profile>,
        trace: &Trace,
    ) -> Result<StepOutcome, FetchError> {
        match one {
            Step::Read => self.read(trace).await,
            Step::Write => self.write(next, trace).await,
            Step::Invalidate => Ok(self.invalidate(trace).await),
            Step::Crowd => self.crowd(trace).await,
            Step::Flush => Ok(self.flush(trace).await),
            Step::Pause(time) => Ok(pause(time, trace).await),
        }
    }

    async fn acted(&self, one: Step, outcome: StepOutcome, timeline: Timeline) -> StepResult {
        let StepOutcome { message, source, effect, version, cache_status, .. } = outcome;
        StepResult {
            number: 0,
            act: one.name(),
            policy: self.policy.name,
            message,
            source,
            effect,
            version,
            elapsed_us: timeline.elapsed_us,
            columns: self.look().await,
            timeline,
            cache_status,
        }
    }

    /// The profile with the next age, as a write would bring it.
    async fn next(&self) -> Option<Profile> {
        let now = self.look().await;
        let now = now.latest()?;
        let age = if now.age < AGE_MAX { now.age + 1 } else { 0 };
        Some(Profile { age, ..Profile::clone(now) })
    }

    fn request(&self, one: Step, next: Option<&Profile>) -> String {
        let id = &self.id;
        match (one, next) {
            (Step::Write, Some(next)) => format!("write age {} to profile {id}", next.age),
            (Step::Crowd, _) => format!("read profile {id}, {CROWD} at once"),
            (Step::Flush, _) => "wait for the flush".to_owned(),
            (Step::Pause(_), _) => "wait".to_owned(),
            (one, _) => format!("{} profile {id}", one.name()),
        }
    }

    async fn read(&self, trace: &Trace) -> Result<StepOutcome, FetchError> {
        let lookup = self.find(trace).await?;
        Ok(StepOutcome {
            message: profiles::message(&self.id, &lookup),
            response: told(&lookup),
            source: Some(lookup.source),
            version: lookup.version,
            cache_status: Some(lookup.cache_status()),
            ..StepOutcome::default()
        })
    }

    async fn find(&self, trace: &Trace) -> Result<Lookup<Profile>, FetchError> {
        let Self { cache, db, id, policy, delay } = self;
        profiles::find(cache, db, id, policy, *delay, trace).await
    }

    /// Without a `next` nobody could say what is there: the write tells why.
    async fn write(
        &self,
        next: Option<&Profile>,
        trace: &Trace,
    ) -> Result<StepOutcome, FetchError> {
        let Some(next) = next else { return self.nothing_to_write().await };
        let Profile { name, email, age, .. } = next.clone();
        let edit = ProfileEdit { name, email, age };
        let Self { cache, db, id, policy, .. } = self;
        let written = profiles::edit(cache, db, id, edit, policy, trace).await?;
        Ok(StepOutcome {
            message: format!("The age is {age} now. {}", profiles::edit_message(&written)),
            response: written.version.map_or_else(nothing, |version| format!("version {version}")),
            effect: Some(effect(&written.effect)),
            version: written.version,
            ..StepOutcome::default()
        })
    }

    async fn nothing_to_write(&self) -> Result<StepOutcome, FetchError> {
        self.db.inspect_profile(&self.id).await.map_err(FetchError::of)?;
        let (message, response) = ("There is nothing to write to.".to_owned(), nothing());
        Ok(StepOutcome { message, response, ..StepOutcome::default() })
    }

    async fn invalidate(&self, trace: &Trace) -> StepOutcome {
        let invalidated = profiles::invalidate(&self.cache, &self.id, &self.policy, trace).await;
        let effect = match &invalidated {
            Ok(Invalidated::Dropped) => "invalidated",
            Ok(Invalidated::Nothing) => "nothing",
            Ok(Invalidated::Kept) => "kept",
            Err(_) => "untold",
        };
        let (message, response) = (profiles::invalidation_message(&invalidated), effect.to_owned());
        StepOutcome { message, response, effect: Some(effect), ..StepOutcome::default() }
    }

    /// [`CROWD`] readers, who begin at the same moment.
    async fn crowd(&self, trace: &Trace) -> Result<StepOutcome, FetchError> {
        let (a, b, c) = tokio::join!(self.find(trace), self.find(trace), self.find(trace));
        let (lookup, _, _) = (a?, b?, c?);
        let queries = trace.spans().iter().filter(|step| step.target == Target::Database).count();
        let times = if queries == 1 { "once".to_owned() } else { format!("{queries} times") };
        Ok(StepOutcome {
            message: format!("{CROWD} readers came at once, and the database was request {times}."),
            response: format!("{CROWD} × {}", told(&lookup)),
            source: Some(lookup.source),
            version: lookup.version,
            ..StepOutcome::default()
        })
    }

    /// Waits until the database has what was written, within a bound.
    async fn flush(&self, trace: &Trace) -> StepOutcome {
        let (since, key) = (Instant::now(), keys::profile(&self.id));
        let waits = async || {
            let held = self.cache.inspect(&key).await.redis;
            matches!(held, Ok(CacheState::Pending { .. }))
        };
        let mut is_waiting = waits().await;
        while is_waiting && since.elapsed() < FLUSH_MAX {
            tokio::time::sleep(FLUSH_LOOK).await;
            is_waiting = waits().await;
        }
        let response = if is_waiting { "it still waits" } else { "the database has it" };
        trace.event(
            Target::Hitrate,
            since,
            "wait for the flusher, which works in the background",
            || response.to_owned(),
        );
        let (took, response) = (format::time(&micros(since.elapsed())), response.to_owned());
        StepOutcome {
            message: format!("After {took} {response}."),
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
    trace.record(trip, || [("let time go by".to_owned(), "waited on purpose".to_owned())]);
    let message = format!("{} went by.", format::time(&micros(took)));
    StepOutcome { message, response: "done".to_owned(), ..StepOutcome::default() }
}

/// What a reader got, and from whom.
fn told(lookup: &Lookup<Profile>) -> String {
    let from = match lookup.source {
        Source::Cache => "from Redis",
        Source::Database => "from the database",
        Source::Memory => "from the near cache",
        Source::Stale => "past its time",
    };
    lookup.version.map_or_else(nothing, |version| format!("version {version}, {from}"))
}

fn nothing() -> String {
    "nothing: there is no such profile".to_owned()
}

/// The word for an effect in JSON.
fn effect(effect: &Effect) -> &'static str {
    match effect {
        Effect::Invalidated(true) => "invalidated",
        Effect::Invalidated(false) => "nothing",
        Effect::Stored => "stored",
        Effect::Queued => "queued",
        Effect::Deferred(_) => "deferred",
    }
}

impl Step {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Invalidate => "invalidate",
            Self::Crowd => "crowd",
            Self::Flush => "flush",
            Self::Pause(_) => "pause",
        }
    }
}
