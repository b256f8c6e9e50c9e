//! A snapshot of one profile in the database, Redis and the near cache.

use std::{cmp::Ordering, sync::Arc, time::Duration};

use hitrate_cache::{CacheState, Inspection, Versioned, time::millis};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::{
        db::{Db, DbError},
        model::{Profile, UserId},
        profiles::Profiles,
    },
    format,
};

/// The content of the three stores.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Snapshot {
    /// The database row.
    pub database: StoreState,
    /// The content of the profile's key in Redis.
    pub redis: StoreState,
    /// The content of the near cache of this process.
    pub near: StoreState,
}

/// A store, as the page shows it.
pub struct StoreView<'a> {
    /// Its title.
    pub title: &'static str,
    /// The CSS class of its colour.
    pub class: &'static str,
    /// The description of an empty store.
    pub nothing: &'static str,
    /// Its content.
    pub state: &'a StoreState,
    /// Whether it lacks a write that was already acknowledged.
    pub is_behind: bool,
}

/// The content of one store.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoreState {
    /// The kind of content.
    pub contents: Contents,
    /// The version of the profile or of the tombstone.
    pub version: Option<u64>,
    /// The profile.
    #[schema(value_type = Option<Profile>)]
    pub profile: Option<Arc<Profile>>,
    /// Remaining TTL in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Age since the load from the database, in milliseconds.
    pub age_ms: Option<u64>,
    /// The comparison with the database row; null if there is nothing to compare.
    pub compared: Option<Compared>,
    /// The error, if the store could not be read.
    pub error: Option<String>,
}

/// The kind of content of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Contents {
    /// The database row, which is current unless a write is pending.
    Row,
    /// A valid copy.
    Copy,
    /// A pending write-behind write.
    Pending,
    /// A tombstone: older copies were invalidated.
    Tombstone,
    /// A negative entry: the profile does not exist.
    Absent,
    /// An expired copy.
    Expired,
    /// A value that hitrate did not write.
    Corrupt,
    /// Nothing.
    Nothing,
    /// The near cache is disabled: Redis does not send invalidations to this process.
    Off,
    /// The store could not be read.
    Unknown,
}

/// The comparison of a copy with the database row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// Same version, same values.
    Same,
    /// An older version.
    Older,
    /// A version that the database does not have yet.
    Newer,
    /// Same version, different values: the row was changed outside hitrate.
    Different,
}

type Row = Result<Option<Versioned<Profile>>, DbError>;

impl Snapshot {
    /// Reads all three stores, without counting a lookup.
    pub async fn read(profiles: &Profiles, db: &Db, id: &UserId) -> Self {
        let (row, inspection) = tokio::join!(db.inspect_profile(id), profiles.inspect(id));
        Self::of(&row, inspection)
    }

    fn of(row: &Row, inspection: Inspection<Profile>) -> Self {
        let redis = match inspection.redis {
            Ok(state) => StoreState::cached(state),
            Err(error) => StoreState::unknown(error.to_string()),
        };
        let near =
            inspection.near.map_or_else(|| StoreState::only(Contents::Off), StoreState::cached);
        Self {
            redis: redis.compared_with(row),
            near: near.compared_with(row),
            database: StoreState::row(row),
        }
    }

    /// Whether the profile does not exist, as far as known.
    pub fn is_missing_profile(&self) -> bool {
        self.database.contents == Contents::Nothing && self.redis.contents != Contents::Pending
    }

    /// The three stores, in the order of the page.
    pub fn stores(&self) -> [StoreView<'_>; 3] {
        let is_behind = self.redis.compared == Some(Compared::Newer);
        let view = |title, class, nothing, state| StoreView {
            title,
            class,
            nothing,
            state,
            is_behind: false,
        };
        let database = view("Database", "database", "The row does not exist.", &self.database);
        let redis =
            view("Redis", "cache", "No copy: the next read queries the database.", &self.redis);
        let nothing = "No copy. With the policy near-cache, a read from Redis stores a copy here.";
        [
            StoreView { is_behind, ..database },
            redis,
            view("Near cache", "memory", nothing, &self.near),
        ]
    }

    /// The current profile: a pending write, or else the database row.
    pub fn latest(&self) -> Option<&Arc<Profile>> {
        let is_pending = self.redis.contents == Contents::Pending;
        if is_pending { self.redis.profile.as_ref() } else { self.database.profile.as_ref() }
    }
}

impl StoreView<'_> {
    /// The meaning of the content.
    pub fn meaning(&self) -> String {
        self.state.meaning(self.nothing)
    }
}

impl StoreState {
    fn only(contents: Contents) -> Self {
        let [ttl_ms, age_ms, version] = [None; 3];
        Self { contents, version, profile: None, ttl_ms, age_ms, compared: None, error: None }
    }

    fn unknown(error: String) -> Self {
        Self { error: Some(error), ..Self::only(Contents::Unknown) }
    }

    fn row(row: &Row) -> Self {
        match row {
            Ok(Some(Versioned { value, version })) => {
                let (version, profile) = (Some(*version), Some(Arc::new(value.clone())));
                Self { version, profile, ..Self::only(Contents::Row) }
            }
            Ok(None) => Self::only(Contents::Nothing),
            Err(error) => Self::unknown(error.to_string()),
        }
    }

    fn cached(state: CacheState<Profile>) -> Self {
        let profile = |contents, value, version| {
            let (version, profile) = (Some(version), Some(value));
            Self { version, profile, ..Self::only(contents) }
        };
        let ms = |time: Duration| Some(millis(time));
        match state {
            CacheState::Nothing => Self::only(Contents::Nothing),
            CacheState::Pending { value, version } => profile(Contents::Pending, value, version),
            CacheState::Absent(left) => Self { ttl_ms: ms(left), ..Self::only(Contents::Absent) },
            CacheState::Tombstone(version) => {
                Self { version: Some(version), ..Self::only(Contents::Tombstone) }
            }
            CacheState::Expired(version) => {
                Self { version: Some(version), ..Self::only(Contents::Expired) }
            }
            CacheState::Copy { value, version, age, left } => {
                let copy = profile(Contents::Copy, value, version);
                Self { ttl_ms: ms(left), age_ms: ms(age), ..copy }
            }
            _ => Self::only(Contents::Corrupt),
        }
    }

    /// The content, in a few words.
    pub fn headline(&self) -> String {
        match (self.contents, self.version) {
            (Contents::Row | Contents::Copy | Contents::Pending, Some(version)) => {
                format!("version {version}")
            }
            (Contents::Tombstone, _) => "tombstone".to_owned(),
            (Contents::Absent, _) => "negative entry".to_owned(),
            (Contents::Expired, _) => "expired".to_owned(),
            (Contents::Corrupt, _) => "unknown value".to_owned(),
            (Contents::Off, _) => "off".to_owned(),
            (Contents::Unknown, _) => "unknown".to_owned(),
            _ => "nothing".to_owned(),
        }
    }

    fn meaning(&self, nothing: &str) -> String {
        let left = || format::span(&self.ttl_ms.unwrap_or_default().div_ceil(1000));
        let version = self.version.unwrap_or_default();
        match self.contents {
            Contents::Row => "The row, as any query reads it.".to_owned(),
            Contents::Copy => format!("A copy, valid for another {}.", left()),
            Contents::Pending => "A write-behind write, pending until the flush.".to_owned(),
            Contents::Tombstone => format!(
                "No copy. The mark keeps slow readers from storing what is older than version {version}."
            ),
            Contents::Absent => {
                format!("The profile does not exist; no database query for another {}.", left())
            }
            Contents::Expired => format!("Version {version} has expired."),
            Contents::Corrupt => "Not written by hitrate; the next read overwrites it.".to_owned(),
            Contents::Nothing => nothing.to_owned(),
            Contents::Off => {
                "Redis sends no invalidations to this process, so it stores no copy.".to_owned()
            }
            Contents::Unknown => format!("{}.", self.error.as_deref().unwrap_or("Unknown")),
        }
    }

    fn compared_with(self, row: &Row) -> Self {
        let (Some(version), Some(profile), Ok(Some(row))) = (self.version, &self.profile, row)
        else {
            return self;
        };
        let compared = match version.cmp(&row.version) {
            Ordering::Less => Compared::Older,
            Ordering::Greater => Compared::Newer,
            Ordering::Equal if **profile == row.value => Compared::Same,
            Ordering::Equal => Compared::Different,
        };
        Self { compared: Some(compared), ..self }
    }
}

impl Compared {
    /// The name in JSON and as a CSS class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Different => "different",
        }
    }

    /// The label on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Same => "same as the row",
            Self::Older => "older than the row",
            Self::Newer => "newer than the row",
            Self::Different => "different from the row",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna(age: u32) -> Profile {
        let [user_id, name, email] = ["1", "Anna", "anna@example.com"].map(str::to_owned);
        Profile { user_id, name, email, age }
    }

    fn copy(version: u64, age: u32) -> CacheState<Profile> {
        let [age_, left] = [Duration::from_secs(1); 2];
        CacheState::Copy { value: Arc::new(anna(age)), version, age: age_, left }
    }

    fn snapshot(redis: CacheState<Profile>) -> Snapshot {
        let row = Ok(Some(Versioned { value: anna(30), version: 5 }));
        Snapshot::of(&row, Inspection { redis: Ok(redis), near: None })
    }

    #[test]
    fn a_copy_is_compared_with_the_row() {
        for (state, compared) in [
            (copy(5, 30), Some(Compared::Same)),
            (copy(5, 31), Some(Compared::Different)),
            (copy(4, 30), Some(Compared::Older)),
            (copy(6, 31), Some(Compared::Newer)),
            (CacheState::Tombstone(5), None),
            (CacheState::Nothing, None),
        ] {
            assert_eq!(snapshot(state).redis.compared, compared);
        }
        assert_eq!(snapshot(CacheState::Nothing).near.contents, Contents::Off);
    }

    #[test]
    fn a_pending_write_is_the_latest_value() {
        let pending = CacheState::Pending { value: Arc::new(anna(31)), version: 6 };
        assert_eq!(snapshot(pending).latest().unwrap().age, 31);
        assert_eq!(snapshot(copy(4, 29)).latest().unwrap().age, 30);
    }
}
