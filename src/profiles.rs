//! Looking up and changing profiles: the cache in front of the database.

use std::time::Duration;

use crate::{
    cache::{Cache, Lookup, Plan},
    db::{self, Db},
    keys,
    model::{Profile, ProfileEdit, UserId},
    store::Trouble,
    wire::Wire,
};

/// How long the absence of a profile is remembered: long enough to take a
/// burst of requests off the database, short enough not to be noticed.
pub const ABSENT_TTL: Duration = Duration::from_secs(10);

/// How far back [`recall`] looks at least: the TTL may have been longer once.
const RECALL_WITHIN: Duration = Duration::from_secs(86_400);
/// The most copies taken back, the latest edits first.
const RECALL_MAX: u32 = 5_000;

/// How a profile is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How long a found profile stays in the cache.
    pub ttl: Duration,
    /// Simulated latency of the database.
    pub delay: Duration,
    /// Leave the cache aside.
    pub bypass: bool,
}

/// Finds a profile, in the cache first.
pub async fn find(
    cache: &Cache,
    db: &Db,
    id: &UserId,
    ask: Ask,
    wire: &Wire,
) -> Result<Lookup<Profile>, db::Error> {
    let plan = Plan { ttl: ask.ttl, absent_ttl: ABSENT_TTL, bypass: ask.bypass };
    cache
        .fetch(&keys::profile(id), plan, wire, async || db.profile(id, ask.delay, wire).await)
        .await
}

/// What an edit did.
pub struct Edited {
    /// Whether there is such a profile.
    pub found: bool,
    /// What became of the cached copy: whether there was one, or why it could
    /// not be removed yet.
    pub forgotten: Result<bool, Trouble>,
}

/// Changes a profile: first the database, then the cache forgets its copy, so
/// that the cache is never newer than the database.
pub async fn edit(
    cache: &Cache,
    db: &Db,
    id: &UserId,
    edit: &ProfileEdit,
    wire: &Wire,
) -> Result<Edited, db::Error> {
    let changed = db.edit_profile(id, edit, wire).await;
    let key = keys::profile(id);
    let forgotten = match &changed {
        Ok(None) => Ok(false),
        Ok(Some(version)) => cache.supersede(&key, Some(*version), wire).await,
        // A write that timed out may have happened: then the copy must go as well.
        Err(_) => cache.supersede(&key, None, wire).await,
    };
    Ok(Edited { found: changed?.is_some(), forgotten })
}

/// Drops a profile from the cache; the next lookup asks the database.
pub async fn forget(cache: &Cache, id: &UserId, wire: &Wire) -> Result<bool, Trouble> {
    cache.forget(&keys::profile(id), wire).await
}

/// Takes back, at the start, the copies of profiles that were edited lately:
/// an edit may have been made while Redis could not be told, and then hitrate
/// was stopped. Copies older than `ttl` have ended by themselves.
pub async fn recall(cache: &Cache, db: &Db, ttl: Duration) -> Result<(), db::Error> {
    for edited in db.edited_within(ttl.max(RECALL_WITHIN), RECALL_MAX).await? {
        cache.supersede_later(&keys::profile(&edited.value), edited.version);
    }
    Ok(())
}

/// What the documents' script prints after a lookup.
pub fn message(id: &UserId, lookup: &Lookup<Profile>) -> String {
    use crate::{cache::Fill, model::Source};
    let missing = lookup.value.is_none();
    match (lookup.source, &lookup.fill) {
        (Source::Cache, _) if missing => {
            format!("User profile for {id} does not exist; Redis cache still knows that.")
        }
        (Source::Cache, _) => format!("User profile for {id} found in Redis cache."),
        (_, Fill::Bypassed) => {
            format!("User profile for {id} fetched from the database; the cache was left aside.")
        }
        (_, Fill::Superseded) => format!(
            "User profile for {id} fetched from the database while it was edited; \
             Redis keeps what is newer."
        ),
        (_, Fill::Failed(trouble)) => format!(
            "User profile for {id} fetched from the database. It was not stored in Redis: {trouble}."
        ),
        _ if missing => format!(
            "User profile for {id} not found in cache, nor in the database. \
             Redis keeps the absence for {} s.",
            ABSENT_TTL.as_secs()
        ),
        _ => format!(
            "User profile for {id} not found in cache. \
             Fetched from the database and stored in Redis."
        ),
    }
}
