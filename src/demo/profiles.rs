//! Lookups and edits of profiles through the cache.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, CachePolicy, Committed, Effect, FetchError, Fill, Invalidated, Lookup, Origin,
    OriginError, Source, Versioned, Writable, WriteOrder, Written,
    redis::RedisError,
    trace::Trace,
    write_behind::{ApplyResult, QueuedWrite, Sink},
};

use crate::demo::{
    db::{Db, DbError, EditResult, QueuedEdit},
    keys,
    model::{Profile, ProfileEdit, UserId},
};

/// Minimum period that [`invalidate_recent_edits`] covers, because an earlier run may have
/// used a longer TTL than the current one.
const RECENT_EDITS: Duration = Duration::from_secs(86_400);
/// Maximum number of invalidations at start; the latest edits come first.
const RECENT_EDITS_MAX: u32 = 5_000;

/// A row of `profiles` as an origin.
#[derive(Clone)]
pub struct ProfileRow {
    db: Arc<Db>,
    id: UserId,
    delay: Duration,
    trace: Trace,
}

impl ProfileRow {
    fn of(db: &Arc<Db>, id: &UserId, delay: Duration, trace: &Trace) -> Self {
        Self { db: Arc::clone(db), id: id.clone(), delay, trace: trace.clone() }
    }
}

impl OriginError for DbError {
    /// A lock is usually released within milliseconds.
    fn is_transient(&self) -> bool {
        matches!(self, Self::Locked)
    }

    /// All other errors are temporary, and a queued write is retried until they end.
    fn is_value_error(&self) -> bool {
        matches!(self, Self::ValueRejected)
    }
}

impl Origin<Profile> for ProfileRow {
    type Error = DbError;

    async fn load(&self) -> Result<Option<Versioned<Profile>>, DbError> {
        self.db.profile(&self.id, self.delay, &self.trace).await
    }
}

impl Writable<Profile> for ProfileRow {
    async fn write(
        &self,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, DbError> {
        let written = self.db.edit_profile(value, order.floor, order.stamp, &self.trace).await?;
        Ok(written.map(|(version, stamp)| Committed { version, stamp }))
    }
}

/// Looks up a profile under `policy`. `delay` is the simulated latency of the database.
pub async fn find(
    cache: &Cache,
    db: &Arc<Db>,
    id: &UserId,
    policy: &CachePolicy,
    delay: Duration,
    trace: &Trace,
) -> Result<Lookup<Profile>, FetchError> {
    let policy = policy.with_origin_delay(delay);
    cache.fetch(&keys::profile(id), &policy, trace, ProfileRow::of(db, id, delay, trace)).await
}

/// Edits a profile. The policy decides whether database or cache is updated first.
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
    let row = ProfileRow::of(db, id, delay, trace);
    cache.write(value, policy, trace, row).await
}

/// Invalidates the cached copy of a profile; the next lookup reads the database.
pub async fn invalidate(
    cache: &Cache,
    id: &UserId,
    policy: &CachePolicy,
    trace: &Trace,
) -> Result<Invalidated, RedisError> {
    cache.invalidate(&keys::profile(id), policy, trace).await
}

/// Write-behind sink that applies queued edits to `profiles`.
pub struct ProfileSink(pub Arc<Db>);

impl Sink for ProfileSink {
    type Error = DbError;

    async fn apply(&self, writes: &[QueuedWrite]) -> Result<Vec<ApplyResult>, DbError> {
        let edits: Vec<_> = writes.iter().map(queued_edit).collect();
        let valid: Vec<_> = edits.iter().flatten().cloned().collect();
        let mut results = self.0.apply_queued_edits(&valid).await?.into_iter();
        let result = |edit: &Option<QueuedEdit>| match edit.as_ref().and_then(|_| results.next()) {
            Some(EditResult::Applied(version)) => ApplyResult::Applied(version),
            Some(EditResult::Superseded(version)) => ApplyResult::Superseded(version),
            Some(EditResult::NoRow) => ApplyResult::Rejected("the profile does not exist"),
            None => ApplyResult::Rejected("the value is not a profile of this key"),
        };
        Ok(edits.iter().map(result).collect())
    }
}

fn queued_edit(write: &QueuedWrite) -> Option<QueuedEdit> {
    let profile: Profile = serde_json::from_str(&write.value).ok()?;
    let belongs = write.key == keys::profile(&profile.user_id.parse().ok()?).as_str();
    belongs.then_some(QueuedEdit { profile, version: write.version, stamp: write.stamp })
}

/// Queues the invalidation of recently edited profiles. Called at start: invalidations
/// deferred by an earlier process are lost when it ends. Copies of older edits have
/// expired.
pub async fn invalidate_recent_edits(
    cache: &Cache,
    db: &Db,
    policy: &CachePolicy,
) -> Result<(), DbError> {
    for (edited, stamp) in db.edited_within(policy.ttl.max(RECENT_EDITS), RECENT_EDITS_MAX).await? {
        let committed = Committed { version: edited.version, stamp };
        cache.supersede_later(&keys::profile(&edited.value), committed, policy);
    }
    Ok(())
}

/// The message about a lookup. Hits and misses use the tutorial's wording.
pub fn message(id: &UserId, lookup: &Lookup<Profile>) -> String {
    match lookup.source {
        Source::Database => database_message(id, lookup),
        source => copy_message(id, source, lookup),
    }
}

fn copy_message(id: &UserId, source: Source, lookup: &Lookup<Profile>) -> String {
    match (source, &lookup.fill) {
        _ if lookup.value.is_none() => {
            format!("User profile for {id} does not exist; its absence is cached.")
        }
        (Source::Memory, _) => {
            format!("User profile for {id} found in the near cache of this process.")
        }
        (Source::Stale, Fill::Failed(error)) => format!(
            "User profile for {id} found in the memory of this process; the copy may be stale. \
             The database failed, and so did Redis: {error}."
        ),
        (Source::Stale, _) if lookup.stale_for.is_zero() => format!(
            "User profile for {id} found in the memory of this process, within its TTL. \
             Redis is unavailable or was too slow, so the copy may be stale."
        ),
        (Source::Stale, _) => format!(
            "User profile for {id} found in cache, past its TTL. \
             The stale copy is served because the database failed or was too slow."
        ),
        _ => ["User profile for ", id.as_str(), " found in Redis cache."].concat(),
    }
}

fn database_message(id: &UserId, lookup: &Lookup<Profile>) -> String {
    let absent_s = CachePolicy::DEFAULT.absent_ttl.as_secs();
    let missing = lookup.value.is_none();
    match &lookup.fill {
        Fill::Bypassed => {
            format!("User profile for {id} fetched from the database; the cache was bypassed.")
        }
        Fill::Superseded => format!(
            "User profile for {id} fetched from the database. \
             It was not stored in Redis, which has a newer version."
        ),
        Fill::Failed(error) => format!(
            "User profile for {id} fetched from the database. It was not stored in Redis: {error}."
        ),
        Fill::TooLarge => format!(
            "User profile for {id} fetched from the database. \
             It was not stored in Redis: it exceeds the maximum entry size."
        ),
        Fill::NotCached => {
            format!("User profile for {id} found neither in cache nor in the database.")
        }
        _ if missing => format!(
            "User profile for {id} found neither in cache nor in the database. \
             Redis caches its absence for {absent_s} s."
        ),
        _ => format!(
            "User profile for {id} not found in cache. \
             Fetched from the database and stored in Redis."
        ),
    }
}

/// The message about an edit.
pub fn edit_message(written: &Written) -> String {
    match &written.effect {
        Effect::Invalidated(true) => {
            "Saved in the database; the cached copy was dropped.".to_owned()
        }
        Effect::Invalidated(false) => "Saved in the database; there was no cached copy.".to_owned(),
        Effect::Stored => "Saved in the database; the cached copy was replaced.".to_owned(),
        Effect::Queued => "Saved in Redis; the write to the database is queued.".to_owned(),
        Effect::Deferred(error) => {
            format!("Saved in the database; the invalidation is deferred: {error}.")
        }
    }
}

/// The message about an invalidation.
pub fn invalidation_message(result: &Result<Invalidated, RedisError>) -> String {
    match result {
        Ok(Invalidated::Dropped) => "The cached copy was dropped.".to_owned(),
        Ok(Invalidated::Nothing) => "There was no cached copy.".to_owned(),
        Ok(Invalidated::Kept) => {
            "The cached copy was kept: its value is not in the database yet.".to_owned()
        }
        Err(error) => format!("The cached copy could not be invalidated: {error}."),
    }
}
