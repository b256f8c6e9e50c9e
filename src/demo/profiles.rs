//! Lookups and edits of profiles through the cache.

use std::{fmt, sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, Effect, Fill, Inspection, Invalidated, KeyPart, Loader, Lookup, Namespace, Origin,
    Source, Versioned, Written,
    trace::Trace,
    write_behind::{ApplyResult, Committed, OrderedOrigin, QueuedWrite, Sink, WriteOrder},
};

use crate::demo::{
    db::{Db, DbError, EditResult, QueuedEdit},
    keys,
    load_error::LoadError,
    model::{Profile, ProfileEdit, UserId},
    policy::Policy,
};

/// Minimum period that [`Profiles::invalidate_recent_edits`] covers, because an earlier run may have
/// used a longer TTL than the current one.
const RECENT_EDITS: Duration = Duration::from_secs(86_400);
/// Maximum number of invalidations at start; the latest edits come first.
const RECENT_EDITS_MAX: u32 = 5_000;

/// The profiles behind the cache. Each worker has its own; cloning is cheap.
#[derive(Clone)]
pub struct Profiles {
    loader: Loader<ProfileQuery, Profile, ProfileRows>,
}

/// The table `profiles` as an origin.
pub struct ProfileRows(Arc<Db>);

/// A profile to load.
#[derive(Clone)]
pub struct ProfileQuery {
    id: UserId,
    delay: Duration,
    trace: Trace,
}

impl KeyPart for ProfileQuery {
    fn write_key(&self, key: &mut dyn fmt::Write) -> fmt::Result {
        self.id.write_key(key)
    }
}

impl Origin<ProfileQuery, Profile> for ProfileRows {
    type Loaded = Option<Versioned<Profile>>;
    type Error = DbError;

    async fn load(&self, query: ProfileQuery) -> Result<Option<Versioned<Profile>>, DbError> {
        self.0.profile(&query.id, query.delay, &query.trace).await
    }

    /// A lock is usually released within milliseconds.
    fn is_transient(&self, error: &DbError) -> bool {
        *error == DbError::Locked
    }
}

impl OrderedOrigin<ProfileQuery, Profile> for ProfileRows {
    async fn write(
        &self,
        query: ProfileQuery,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, DbError> {
        let written = self.0.edit_profile(value, order.floor, order.stamp, &query.trace).await?;
        Ok(written.map(|(version, stamp)| Committed { version, stamp }))
    }
}

impl Profiles {
    /// The profiles of this database in this cache.
    pub fn new(cache: &Cache, db: &Arc<Db>) -> Self {
        let namespace: Namespace<Profile> = cache.namespace(keys::PROFILE, Policy::DEFAULT.cache);
        Self { loader: namespace.loader(ProfileRows(Arc::clone(db))) }
    }

    fn loader(&self, policy: &Policy, trace: &Trace) -> Loader<ProfileQuery, Profile, ProfileRows> {
        self.loader.with(policy.cache).traced(trace)
    }

    /// The namespace in the cache under this policy.
    pub fn namespace(&self, policy: &Policy, trace: &Trace) -> Namespace<Profile> {
        self.loader.namespace().with(policy.cache).traced(trace)
    }

    /// Looks up a profile under `policy`. `delay` is the simulated latency of the database.
    pub async fn find(
        &self,
        id: &UserId,
        policy: &Policy,
        delay: Duration,
        trace: &Trace,
    ) -> Result<Lookup<Profile>, LoadError> {
        let query = ProfileQuery { id: id.clone(), delay, trace: trace.clone() };
        Ok(self.loader(&policy.with_origin_delay(delay), trace).lookup(query).await?)
    }

    /// Edits a profile. The policy decides whether database or cache is updated first.
    pub async fn edit(
        &self,
        id: &UserId,
        edit: ProfileEdit,
        policy: &Policy,
        trace: &Trace,
    ) -> Result<Written<Profile>, LoadError> {
        let ProfileEdit { name, email, age } = edit;
        let value = Profile { user_id: id.to_string(), name, email, age };
        let query = ProfileQuery { id: id.clone(), delay: Duration::ZERO, trace: trace.clone() };
        Ok(self.loader(policy, trace).write(query, value).await?)
    }

    /// Invalidates the cached copy of a profile; the next lookup reads the database.
    pub async fn invalidate(&self, id: &UserId, policy: &Policy, trace: &Trace) -> Invalidated {
        self.namespace(policy, trace).invalidate(id).await
    }

    /// What is cached under this id. Counts no lookup.
    pub async fn inspect(&self, id: &UserId) -> Inspection<Profile> {
        self.loader.namespace().inspect(id).await
    }

    /// Queues the invalidation of recently edited profiles. Called at start: invalidations
    /// deferred by an earlier process are lost when it ends. Copies of older edits have
    /// expired.
    pub async fn invalidate_recent_edits(&self, db: &Db, policy: &Policy) -> Result<(), DbError> {
        let profiles = self.namespace(policy, &Trace::disabled());
        let age = policy.cache.ttl.max(RECENT_EDITS);
        for (edited, stamp) in db.edited_within(age, RECENT_EDITS_MAX).await? {
            let committed = Committed { version: edited.version, stamp };
            profiles.supersede_later(&edited.value, committed);
        }
        Ok(())
    }
}

/// Write-behind sink that applies queued edits to `profiles`.
pub struct ProfileSink(pub Arc<Db>);

impl Sink for ProfileSink {
    type Error = DbError;

    /// All other errors are temporary, and a queued write is retried until they end.
    fn is_value_error(&self, error: &DbError) -> bool {
        *error == DbError::ValueRejected
    }

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
    let profile: Profile = serde_json::from_slice(&write.value).ok()?;
    let id = write.key.strip_prefix(keys::PROFILE)?.strip_prefix(':')?;
    let belongs = id == profile.user_id && id.parse::<UserId>().is_ok();
    belongs.then_some(QueuedEdit { profile, version: write.version, stamp: write.stamp })
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
    let absent_s = Policy::DEFAULT.cache.absent_ttl.as_secs();
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
pub fn edit_message(written: &Written<Profile>) -> String {
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
        _ => "Saved in the database.".to_owned(),
    }
}

/// The message about an invalidation.
pub fn invalidation_message(outcome: &Invalidated) -> String {
    match outcome {
        Invalidated::Dropped => "The cached copy was dropped.".to_owned(),
        Invalidated::Nothing => "There was no cached copy.".to_owned(),
        Invalidated::Kept => {
            "The cached copy was kept: its value is not in the database yet.".to_owned()
        }
        Invalidated::Deferred(error) => {
            format!("The invalidation of the cached copy is deferred: {error}.")
        }
        _ => "The cached copy was invalidated.".to_owned(),
    }
}
