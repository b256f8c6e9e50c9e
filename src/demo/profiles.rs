//! Looking up and changing profiles: the cache in front of the database.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, CachePolicy, Committed, Effect, FetchError, Fill, Invalidated, Lookup, Origin,
    OriginError, Source, Versioned, Writable, WriteOrder, Written,
    redis::RedisError,
    trace::Trace,
    write_behind::{ApplyResult, QueuedWrite, Sink},
};

use crate::demo::{
    db::{self, CaughtUp, Db, Late},
    keys,
    model::{Profile, ProfileEdit, UserId},
};

/// How far back [`recall`] looks at least: the TTL may have been longer once.
const RECALL_WITHIN: Duration = Duration::from_secs(86_400);
/// The most copies taken back, the latest edits first.
const RECALL_MAX: u32 = 5_000;

/// One row of the table, as the cache's origin.
#[derive(Clone)]
pub struct Row {
    db: Arc<Db>,
    id: UserId,
    delay: Duration,
    trace: Trace,
}

impl Row {
    fn of(db: &Arc<Db>, id: &UserId, delay: Duration, trace: &Trace) -> Self {
        Self { db: Arc::clone(db), id: id.clone(), delay, trace: trace.clone() }
    }
}

impl OriginError for db::Error {
    /// A lock is held for milliseconds.
    fn is_transient(&self) -> bool {
        matches!(self, Self::Locked)
    }

    /// Whatever else is wrong ends some time, and the write waits for that.
    fn is_value_error(&self) -> bool {
        matches!(self, Self::Unfit)
    }
}

impl Origin<Profile> for Row {
    type Error = db::Error;

    async fn load(&self) -> Result<Option<Versioned<Profile>>, db::Error> {
        self.db.profile(&self.id, self.delay, &self.trace).await
    }
}

impl Writable<Profile> for Row {
    async fn write(
        &self,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, db::Error> {
        let written = self.db.edit_profile(value, order.floor, order.stamp, &self.trace).await?;
        Ok(written.map(|(version, stamp)| Committed { version, stamp }))
    }
}

/// Finds a profile as the policy says. `delay` is simulated latency of the database.
pub async fn find(
    cache: &Cache,
    db: &Arc<Db>,
    id: &UserId,
    policy: &CachePolicy,
    delay: Duration,
    trace: &Trace,
) -> Result<Lookup<Profile>, FetchError> {
    let policy = policy.with_origin_delay(delay);
    cache.fetch(&keys::profile(id), &policy, trace, Row::of(db, id, delay, trace)).await
}

/// Changes a profile, by the policy's order of database and cache.
pub async fn edit(
    cache: &Cache,
    db: &Arc<Db>,
    id: &UserId,
    edit: ProfileEdit,
    policy: &CachePolicy,
    trace: &Trace,
) -> Result<Written, FetchError> {
    let ProfileEdit { name, email, age } = edit;
    let value = Profile { user_id: id.to_string(), name, email, age };
    let delay = Duration::ZERO;
    let row = Row::of(db, id, delay, trace);
    cache.write(value, policy, trace, row).await
}

/// Drops a profile from the cache; the next lookup asks the database.
pub async fn invalidate(
    cache: &Cache,
    id: &UserId,
    policy: &CachePolicy,
    trace: &Trace,
) -> Result<Invalidated, RedisError> {
    cache.invalidate(&keys::profile(id), policy, trace).await
}

/// Where profiles that were written behind go.
pub struct Behind(pub Arc<Db>);

impl Sink for Behind {
    type Error = db::Error;

    async fn apply(&self, writes: &[QueuedWrite]) -> Result<Vec<ApplyResult>, db::Error> {
        let late: Vec<_> = writes.iter().map(late).collect();
        let readable: Vec<_> = late.iter().flatten().cloned().collect();
        let mut caught_up = self.0.catch_up_profiles(&readable).await?.into_iter();
        let outcome = |late: &Option<Late>| match late.as_ref().and_then(|_| caught_up.next()) {
            Some(CaughtUp::As(version)) => ApplyResult::Applied(version),
            Some(CaughtUp::Superseded(version)) => ApplyResult::Superseded(version),
            Some(CaughtUp::NoRow) => ApplyResult::Rejected("there is no such profile"),
            None => ApplyResult::Rejected("it is no profile"),
        };
        Ok(late.iter().map(outcome).collect())
    }
}

fn late(write: &QueuedWrite) -> Option<Late> {
    let profile: Profile = serde_json::from_str(&write.value).ok()?;
    let belongs = write.key == keys::profile(&profile.user_id.parse().ok()?).as_str();
    belongs.then_some(Late { profile, version: write.version, stamp: write.stamp })
}

/// Takes back, at the start, the copies of profiles that were edited lately:
/// an edit may have been made while Redis could not be told, and then hitrate
/// was stopped. Copies older than their TTL have ended by themselves.
pub async fn recall(cache: &Cache, db: &Db, policy: &CachePolicy) -> Result<(), db::Error> {
    for (edited, stamp) in db.edited_within(policy.ttl.max(RECALL_WITHIN), RECALL_MAX).await? {
        let newer = Committed { version: edited.version, stamp };
        cache.supersede_later(&keys::profile(&edited.value), newer, policy);
    }
    Ok(())
}

/// What the documents' script prints after a lookup.
pub fn message(id: &UserId, lookup: &Lookup<Profile>) -> String {
    match lookup.source {
        Source::Database => from_the_database(id, lookup),
        source => from_a_copy(id, source, lookup),
    }
}

fn from_a_copy(id: &UserId, source: Source, lookup: &Lookup<Profile>) -> String {
    match (source, &lookup.fill) {
        _ if lookup.value.is_none() => {
            format!("User profile for {id} does not exist; Redis cache still knows that.")
        }
        (Source::Memory, _) => format!("User profile for {id} found in this process's near cache."),
        (Source::Stale, Fill::Failed(error)) => format!(
            "User profile for {id} found in a copy of this process. \
             The database can't tell whether it changed, nor can Redis: {error}."
        ),
        (Source::Stale, _) => format!(
            "User profile for {id} found in cache, past its time: \
             it is served while nothing newer can be had."
        ),
        _ => ["User profile for ", id.as_str(), " found in Redis cache."].concat(),
    }
}

fn from_the_database(id: &UserId, lookup: &Lookup<Profile>) -> String {
    let absent_s = CachePolicy::DEFAULT.absent_ttl.as_secs();
    let missing = lookup.value.is_none();
    match &lookup.fill {
        Fill::Bypassed => {
            format!("User profile for {id} fetched from the database; the cache was left aside.")
        }
        Fill::Superseded => format!(
            "User profile for {id} fetched from the database while it was edited; \
             Redis keeps what is newer."
        ),
        Fill::Failed(error) => format!(
            "User profile for {id} fetched from the database. It was not stored in Redis: {error}."
        ),
        Fill::TooLarge => format!(
            "User profile for {id} fetched from the database. \
             It was not stored in Redis: it is larger than an entry may be."
        ),
        Fill::NotCached => {
            format!("User profile for {id} not found in cache, nor in the database.")
        }
        _ if missing => format!(
            "User profile for {id} not found in cache, nor in the database. \
             Redis keeps the absence for {absent_s} s."
        ),
        _ => format!(
            "User profile for {id} not found in cache. \
             Fetched from the database and stored in Redis."
        ),
    }
}

/// What a write did, in a sentence.
pub fn edited(written: &Written) -> String {
    let who = match written.effect {
        Effect::Queued => "Redis has the change",
        _ => "The database has the change",
    };
    format!("{who}; {}.", effect(&written.effect))
}

/// What an invalidation did, in a sentence.
pub fn invalidated(outcome: &Result<Invalidated, RedisError>) -> String {
    let then = match outcome {
        Ok(Invalidated::Dropped) => "the cache dropped its copy".to_owned(),
        Ok(Invalidated::Nothing) => "the cache had no copy".to_owned(),
        Ok(Invalidated::Kept) => "the copy stays: the database does not have it yet".to_owned(),
        Err(error) => format!("the cache could not be told: {error}"),
    };
    format!("Asked to invalidate; {then}.")
}

/// What a write did to the cache, as the end of a sentence.
fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Invalidated(true) => "the cache dropped its copy".to_owned(),
        Effect::Invalidated(false) => "the cache had no copy".to_owned(),
        Effect::Stored => "the cache has the new copy".to_owned(),
        Effect::Queued => "it waits there for the database".to_owned(),
        Effect::Deferred(error) => format!("the cache could not be told: {error}"),
    }
}
