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
    // A write that timed out may have happened: then the copy must go as well.
    let forgotten = match &changed {
        Ok(false) => Ok(false),
        _ => cache.forget(&keys::profile(id), wire).await,
    };
    Ok(Edited { found: changed?, forgotten })
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
