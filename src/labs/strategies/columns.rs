//! Who holds what of one profile: the database, Redis and the near cache, side
//! by side.

use std::{cmp::Ordering, sync::Arc, time::Duration};

use hitrate_cache::{Cache, CacheState, Inspection, Versioned, time::millis};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::{
        db::{self, Db},
        keys,
        model::{Profile, UserId},
    },
    format,
};

/// The three columns.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Snapshot {
    /// The row.
    pub database: StoreState,
    /// What Redis holds under the profile's key.
    pub redis: StoreState,
    /// What this process holds itself.
    pub near: StoreState,
}

/// One of them, as a page names it.
pub struct StoreView<'a> {
    /// What it is called.
    pub title: &'static str,
    /// The class of its colour.
    pub class: &'static str,
    /// What it means when nothing is there.
    pub nothing: &'static str,
    /// What is there.
    pub column: &'a StoreState,
    /// Whether it lacks what was acknowledged already.
    pub is_behind: bool,
}

/// What one of them holds.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoreState {
    /// What kind of thing.
    pub holds: Contents,
    /// The version of the profile, or that of which a mark speaks.
    pub version: Option<u64>,
    /// The profile itself.
    #[schema(value_type = Option<Profile>)]
    pub profile: Option<Arc<Profile>>,
    /// Milliseconds for which it will still be served.
    pub ttl_ms: Option<u64>,
    /// Milliseconds since it was loaded from the database.
    pub age_ms: Option<u64>,
    /// Beside the database's row; null where there is nothing to compare.
    pub compared: Option<Compared>,
    /// Why nobody can say what is there.
    pub error: Option<String>,
}

/// A kind of thing that a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Contents {
    /// The row, which is the truth unless a write waits.
    Row,
    /// A copy that is served.
    Copy,
    /// A write that the database does not have yet.
    Waiting,
    /// The mark that older copies were dropped.
    Gone,
    /// The mark that there is no such profile.
    Absent,
    /// A copy that is served no more.
    Over,
    /// Something that hitrate did not write.
    Garbage,
    /// Nothing.
    Nothing,
    /// Nothing can be kept: Redis does not tell this process of changes.
    Off,
    /// Nobody can say.
    Unknown,
}

/// A copy beside the database's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// The same version, the same values.
    Same,
    /// An older version.
    Older,
    /// A version that the database does not have yet.
    Newer,
    /// The same version, but other values: somebody changed the row past hitrate.
    Different,
}

type Row = Result<Option<Versioned<Profile>>, db::Error>;

impl Snapshot {
    /// Looks at all three. No lookup is counted for it.
    pub async fn look(cache: &Cache, db: &Db, id: &UserId) -> Self {
        let key = keys::profile(id);
        let (row, held) = tokio::join!(db.inspect_profile(id), cache.inspect(&key));
        Self::of(&row, held)
    }

    fn of(row: &Row, held: Inspection<Profile>) -> Self {
        let redis = match held.redis {
            Ok(holding) => StoreState::held(holding),
            Err(error) => StoreState::unknown(error.to_string()),
        };
        let near = held.near.map_or_else(|| StoreState::only(Contents::Off), StoreState::held);
        Self { redis: redis.beside(row), near: near.beside(row), database: StoreState::row(row) }
    }

    /// Whether there is no such profile, for all that can be known.
    pub fn are_of_nobody(&self) -> bool {
        self.database.holds == Contents::Nothing && self.redis.holds != Contents::Waiting
    }

    /// The three in the order of the page.
    pub fn places(&self) -> [StoreView<'_>; 3] {
        let is_behind = self.redis.compared == Some(Compared::Newer);
        let place = |title, class, nothing, column| StoreView {
            title,
            class,
            nothing,
            column,
            is_behind: false,
        };
        let database = place("Database", "database", "There is no such row.", &self.database);
        let redis =
            place("Redis", "cache", "No copy: the next read asks the database.", &self.redis);
        let nothing =
            "Nothing here. With the policy near, a copy comes here when it is read from Redis.";
        [
            StoreView { is_behind, ..database },
            redis,
            place("Near cache", "memory", nothing, &self.near),
        ]
    }

    /// The profile as the next reader should get it.
    pub fn latest(&self) -> Option<&Arc<Profile>> {
        let waits = self.redis.holds == Contents::Waiting;
        if waits { self.redis.profile.as_ref() } else { self.database.profile.as_ref() }
    }
}

impl StoreView<'_> {
    /// What it means that this is there.
    pub fn meaning(&self) -> String {
        self.column.meaning(self.nothing)
    }
}

impl StoreState {
    fn only(holds: Contents) -> Self {
        let [ttl_ms, age_ms, version] = [None; 3];
        Self { holds, version, profile: None, ttl_ms, age_ms, compared: None, error: None }
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

    fn held(holding: CacheState<Profile>) -> Self {
        let profile = |holds, value, version| {
            let (version, profile) = (Some(version), Some(value));
            Self { version, profile, ..Self::only(holds) }
        };
        let ms = |time: Duration| Some(millis(time));
        match holding {
            CacheState::Nothing => Self::only(Contents::Nothing),
            CacheState::Corrupt => Self::only(Contents::Garbage),
            CacheState::Pending { value, version } => profile(Contents::Waiting, value, version),
            CacheState::Absent(left) => Self { ttl_ms: ms(left), ..Self::only(Contents::Absent) },
            CacheState::Tombstone(version) => {
                Self { version: Some(version), ..Self::only(Contents::Gone) }
            }
            CacheState::Expired(version) => {
                Self { version: Some(version), ..Self::only(Contents::Over) }
            }
            CacheState::Copy { value, version, age, left } => {
                let copy = profile(Contents::Copy, value, version);
                Self { ttl_ms: ms(left), age_ms: ms(age), ..copy }
            }
        }
    }

    /// What is there, in a word or two.
    pub fn headline(&self) -> String {
        match (self.holds, self.version) {
            (Contents::Row | Contents::Copy | Contents::Waiting, Some(version)) => {
                format!("version {version}")
            }
            (Contents::Gone, _) => "only a mark".to_owned(),
            (Contents::Absent, _) => "known to be missing".to_owned(),
            (Contents::Over, _) => "past its time".to_owned(),
            (Contents::Garbage, _) => "something else".to_owned(),
            (Contents::Off, _) => "off".to_owned(),
            (Contents::Unknown, _) => "unknown".to_owned(),
            _ => "nothing".to_owned(),
        }
    }

    fn meaning(&self, nothing: &str) -> String {
        let left = || format::span(&self.ttl_ms.unwrap_or_default().div_ceil(1000));
        let version = self.version.unwrap_or_default();
        match self.holds {
            Contents::Row => "The row, as every query would read it.".to_owned(),
            Contents::Copy => format!("A copy, served for another {}.", left()),
            Contents::Waiting => "Written behind: it waits here for the database.".to_owned(),
            Contents::Gone => format!(
                "No copy. The mark keeps slow readers from storing what is older than                  version {version}."
            ),
            Contents::Absent => format!("No database query for it for another {}.", left()),
            Contents::Over => format!("Version {version} is served no more."),
            Contents::Garbage => "Not written by hitrate; the next read overwrites it.".to_owned(),
            Contents::Nothing => nothing.to_owned(),
            Contents::Off => {
                "Redis does not tell this process of changes, so it keeps no copy.".to_owned()
            }
            Contents::Unknown => format!("{}.", self.error.as_deref().unwrap_or("Nobody can say")),
        }
    }

    fn beside(self, row: &Row) -> Self {
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
    /// The word for it in JSON and in the style.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Different => "different",
        }
    }

    /// The same for a reader.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Same => "same as the row",
            Self::Older => "older than the row",
            Self::Newer => "newer than the row",
            Self::Different => "not what the row says",
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

    fn columns(redis: CacheState<Profile>) -> Snapshot {
        let row = Ok(Some(Versioned { value: anna(30), version: 5 }));
        Snapshot::of(&row, Inspection { redis: Ok(redis), near: None })
    }

    #[test]
    fn a_copy_is_compared_with_the_row() {
        for (holding, compared) in [
            (copy(5, 30), Some(Compared::Same)),
            (copy(5, 31), Some(Compared::Different)),
            (copy(4, 30), Some(Compared::Older)),
            (copy(6, 31), Some(Compared::Newer)),
            (CacheState::Tombstone(5), None),
            (CacheState::Nothing, None),
        ] {
            assert_eq!(columns(holding).redis.compared, compared);
        }
        assert_eq!(columns(CacheState::Nothing).near.holds, Contents::Off);
    }

    #[test]
    fn what_waits_is_the_latest() {
        let waiting = CacheState::Pending { value: Arc::new(anna(31)), version: 6 };
        assert_eq!(columns(waiting).latest().unwrap().age, 31);
        assert_eq!(columns(copy(4, 29)).latest().unwrap().age, 30);
    }
}
