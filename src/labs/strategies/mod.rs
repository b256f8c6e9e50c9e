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
    columns::{Column, Columns, Compared, Holds},
    runs::{Move, Run},
    visits::{Token, Visit, Visits},
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

/// How many readers come at once in a crowd. See [`Stage::crowd`].
const CROWD: usize = 3;
/// How long a run waits for the flush of a write: longer than a flusher that
/// tries again after a fault.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Between two looks whether it was flushed.
const FLUSH_LOOK: Duration = Duration::from_millis(20);

/// What a move did, and what was held where after it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Acted {
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
    pub columns: Columns,
    /// How it went.
    #[serde(skip)]
    pub timeline: Timeline,
    /// `Cache-Status` of a read.
    #[serde(skip)]
    pub cache_status: Option<String>,
}

/// What a move came to.
#[derive(Default)]
struct Outcome {
    message: String,
    response: String,
    source: Option<Source>,
    effect: Option<&'static str>,
    version: Option<u64>,
    cache_status: Option<String>,
}

/// One profile, and how it is cached.
pub struct Stage {
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

impl Stage {
    /// What is held where at the moment.
    pub async fn look(&self) -> Columns {
        Columns::look(&self.cache, &self.db, &self.id).await
    }

    /// The moves of the policy's run, one after the other.
    ///
    /// # Errors
    /// What goes wrong at the database.
    pub async fn run(self) -> Result<Vec<Acted>, FetchError> {
        let run = Run::of(&self.policy);
        let delay = self.delay.min(runs::DELAY_MAX);
        let policy = run.ttl.map_or(self.policy, |ttl| self.policy.ttl(ttl));
        let stage = Self { delay, policy, ..self };
        let mut acts = Vec::with_capacity(run.moves.len());
        for one in run.moves {
            acts.push(stage.act(*one).await?);
        }
        Ok(acts)
    }

    /// One move.
    ///
    /// # Errors
    /// What goes wrong at the database.
    pub async fn act(&self, one: Move) -> Result<Acted, FetchError> {
        let next = if one == Move::Write { self.next().await } else { None };
        let (trace, start) = (Trace::start(), Instant::now());
        let outcome = self.perform(one, next.as_ref(), &trace).await?;
        let took = start.elapsed();
        let request = self.request(one, next.as_ref());
        let timeline = Timeline::new(request, &trace, outcome.response.clone(), took);
        Ok(self.acted(one, outcome, timeline).await)
    }

    async fn perform(
        &self,
        one: Move,
        next: Option<&Profile>,
        trace: &Trace,
    ) -> Result<Outcome, FetchError> {
        match one {
            Move::Read => self.read(trace).await,
            Move::Write => self.write(next, trace).await,
            Move::Invalidate => Ok(self.invalidate(trace).await),
            Move::Crowd => self.crowd(trace).await,
            Move::Flush => Ok(self.flush(trace).await),
            Move::Pause(time) => Ok(pause(time, trace).await),
        }
    }

    async fn acted(&self, one: Move, outcome: Outcome, timeline: Timeline) -> Acted {
        let Outcome { message, source, effect, version, cache_status, .. } = outcome;
        Acted {
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

    fn request(&self, one: Move, next: Option<&Profile>) -> String {
        let id = &self.id;
        match (one, next) {
            (Move::Write, Some(next)) => format!("write age {} to profile {id}", next.age),
            (Move::Crowd, _) => format!("read profile {id}, {CROWD} at once"),
            (Move::Flush, _) => "wait for the flush".to_owned(),
            (Move::Pause(_), _) => "wait".to_owned(),
            (one, _) => format!("{} profile {id}", one.name()),
        }
    }

    async fn read(&self, trace: &Trace) -> Result<Outcome, FetchError> {
        let lookup = self.find(trace).await?;
        Ok(Outcome {
            message: profiles::message(&self.id, &lookup),
            response: told(&lookup),
            source: Some(lookup.source),
            version: lookup.version,
            cache_status: Some(lookup.cache_status()),
            ..Outcome::default()
        })
    }

    async fn find(&self, trace: &Trace) -> Result<Lookup<Profile>, FetchError> {
        let Self { cache, db, id, policy, delay } = self;
        profiles::find(cache, db, id, policy, *delay, trace).await
    }

    /// Without a `next` nobody could say what is there: the write tells why.
    async fn write(&self, next: Option<&Profile>, trace: &Trace) -> Result<Outcome, FetchError> {
        let Some(next) = next else { return self.nothing_to_write().await };
        let Profile { name, email, age, .. } = next.clone();
        let edit = ProfileEdit { name, email, age };
        let Self { cache, db, id, policy, .. } = self;
        let written = profiles::edit(cache, db, id, edit, policy, trace).await?;
        Ok(Outcome {
            message: format!("The age is {age} now. {}", profiles::edited(&written)),
            response: written.version.map_or_else(nothing, |version| format!("version {version}")),
            effect: Some(effect(&written.effect)),
            version: written.version,
            ..Outcome::default()
        })
    }

    async fn nothing_to_write(&self) -> Result<Outcome, FetchError> {
        self.db.inspect_profile(&self.id).await.map_err(FetchError::of)?;
        let (message, response) = ("There is nothing to write to.".to_owned(), nothing());
        Ok(Outcome { message, response, ..Outcome::default() })
    }

    async fn invalidate(&self, trace: &Trace) -> Outcome {
        let invalidated = profiles::invalidate(&self.cache, &self.id, &self.policy, trace).await;
        let effect = match &invalidated {
            Ok(Invalidated::Dropped) => "invalidated",
            Ok(Invalidated::Nothing) => "nothing",
            Ok(Invalidated::Kept) => "kept",
            Err(_) => "untold",
        };
        let (message, response) = (profiles::invalidated(&invalidated), effect.to_owned());
        Outcome { message, response, effect: Some(effect), ..Outcome::default() }
    }

    /// [`CROWD`] readers, who begin at the same moment.
    async fn crowd(&self, trace: &Trace) -> Result<Outcome, FetchError> {
        let (a, b, c) = tokio::join!(self.find(trace), self.find(trace), self.find(trace));
        let (lookup, _, _) = (a?, b?, c?);
        let queries = trace.spans().iter().filter(|step| step.target == Target::Database).count();
        let times = if queries == 1 { "once".to_owned() } else { format!("{queries} times") };
        Ok(Outcome {
            message: format!("{CROWD} readers came at once, and the database was request {times}."),
            response: format!("{CROWD} × {}", told(&lookup)),
            source: Some(lookup.source),
            version: lookup.version,
            ..Outcome::default()
        })
    }

    /// Waits until the database has what was written, within a bound.
    async fn flush(&self, trace: &Trace) -> Outcome {
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
        Outcome { message: format!("After {took} {response}."), response, ..Outcome::default() }
    }
}

async fn pause(time: Duration, trace: &Trace) -> Outcome {
    let sent = Instant::now();
    tokio::time::sleep(time).await;
    let took = sent.elapsed();
    let trip = RoundTrip { target: Target::Hitrate, sent, took, simulated: took };
    trace.record(trip, || [("let time go by".to_owned(), "waited on purpose".to_owned())]);
    let message = format!("{} went by.", format::time(&micros(took)));
    Outcome { message, response: "done".to_owned(), ..Outcome::default() }
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

impl Move {
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
