//! Pictures of values: plain data made from Redis replies. The page draws them.

use serde::Serialize;
use utoipa::ToSchema;

/// Maximum number of members shown.
pub const SHOWN: usize = 24;

/// The picture of a structure. `kind` names the variant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Picture {
    /// Strings: each key's text.
    Texts(Texts),
    /// Hashes: fields and their values.
    Tables(Tables),
    /// A list: boxes from left to right.
    Boxes(Boxes),
    /// Sets: a Venn diagram of two, and the others.
    Venn(Box<Venn>),
    /// A sorted set: a ranking.
    Ranking(Ranking),
    /// Bitmaps: the bits of two days.
    Bits(Bits),
    /// HyperLogLogs, each next to a set of the same members.
    Estimates(Estimates),
    /// Points on the earth.
    Maps(Maps),
    /// Streams: their latest entries.
    Logs(Logs),
}

/// String values.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Texts {
    /// The keys that exist.
    pub values: Vec<Text>,
}

/// One string value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Text {
    /// The key.
    pub key: &'static str,
    /// The value as text.
    pub text: String,
    /// The value as an integer, if it is one.
    pub number: Option<i64>,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Hashes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Tables {
    /// The keys that exist.
    pub tables: Vec<Table>,
}

/// One hash.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Table {
    /// The key.
    pub key: &'static str,
    /// Number of fields.
    pub count: usize,
    /// The first fields.
    pub rows: Vec<FieldValue>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldValue {
    /// Its name.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// A list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Boxes {
    /// The key.
    pub key: &'static str,
    /// Number of elements.
    pub count: u64,
    /// The elements at its left end.
    pub left: Vec<String>,
    /// Number of elements not shown.
    pub between: u64,
    /// The elements at its right end, as far as `left` does not contain them.
    pub right: Vec<String>,
}

/// Two sets and their intersection.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Venn {
    /// The first set.
    pub left: Members,
    /// The second.
    pub right: Members,
    /// In the first only: `SDIFF left right`.
    pub left_only: Members,
    /// In both: `SINTER left right`.
    pub both: Members,
    /// In the second only: `SDIFF right left`.
    pub right_only: Members,
    /// In either: `SUNION left right`.
    pub any: Members,
    /// The other sets.
    pub others: Vec<Members>,
}

/// The members of a set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Members {
    /// The key, or the command whose reply they are.
    pub name: &'static str,
    /// Number of members.
    pub count: usize,
    /// The first members, in alphabetical order.
    pub members: Vec<String>,
}

/// A sorted set, highest score first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Ranking {
    /// The key.
    pub key: &'static str,
    /// Number of members.
    pub count: u64,
    /// The first members.
    pub rows: Vec<Ranked>,
}

/// A member and its score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Ranked {
    /// Its rank, from 0, as ZREVRANK returns it.
    pub rank: usize,
    /// The member.
    pub member: String,
    /// The score.
    pub score: f64,
    /// Its absolute score as a share of the largest one shown, 0 to 1.
    pub share: f64,
}

/// Bitmaps of two days.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Bits {
    /// Number of bits drawn per bitmap, from 0 on.
    pub drawn: usize,
    /// The days, and their intersection if it was computed.
    pub days: Vec<Day>,
    /// Share of the previous day's users who came back, 0 to 1.
    pub retention: Option<f64>,
}

/// One bitmap.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Day {
    /// The key.
    pub key: &'static str,
    /// Number of set bits.
    pub actives: u64,
    /// Its length in bytes, up to the highest bit written.
    pub bytes: u64,
    /// The drawn bits that are set.
    pub set: Vec<usize>,
    /// Number of set bits that are not drawn.
    pub beyond: u64,
}

/// HyperLogLogs, each next to an exact set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimates {
    /// The keys that exist.
    pub rows: Vec<Estimate>,
}

/// One HyperLogLog and a set of the same members.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimate {
    /// The key.
    pub key: &'static str,
    /// The estimate, by PFCOUNT.
    pub estimate: u64,
    /// The exact count, by SCARD.
    pub exact: u64,
    /// Error of the estimate, in percent of the exact count.
    pub error_percent: Option<f64>,
    /// `sparse` or `dense`.
    pub encoding: Option<&'static str>,
    /// Memory of the HyperLogLog, in bytes.
    pub bytes: u64,
    /// Memory of the set, in bytes.
    pub exact_bytes: u64,
    /// Length of the value in bytes, by STRLEN.
    pub length: u64,
}

/// Maps, one for each key.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Maps {
    /// The keys with points.
    pub maps: Vec<Map>,
}

/// Points, and the last search.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Map {
    /// The key.
    pub key: &'static str,
    /// Number of points.
    pub count: u64,
    /// The first points, by geohash.
    pub points: Vec<Point>,
    /// The searched area, if the last action on this key was a search.
    pub search: Option<Search>,
}

/// A point on the earth, as Redis stores it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// The member.
    pub member: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Its 52-bit geohash, which is its score in the sorted set.
    pub geohash: u64,
    /// Distance from the centre of the search, in kilometres.
    pub distance_km: Option<f64>,
    /// Whether the search found it.
    pub found: bool,
}

/// A circle on the earth.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Search {
    /// Longitude of the centre, in degrees east.
    pub longitude: f64,
    /// Latitude of the centre, in degrees north.
    pub latitude: f64,
    /// Radius in kilometres.
    pub radius_km: f64,
    /// The member at the centre, if the search was by member.
    pub around: Option<String>,
}

/// Streams.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Logs {
    /// The keys that exist.
    pub logs: Vec<Log>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Log {
    /// The key.
    pub key: &'static str,
    /// Number of entries.
    pub length: u64,
    /// The latest entries, the latest last.
    pub entries: Vec<LogEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its id.
    pub id: String,
    /// The time in UTC, if the id is a timestamp.
    pub at: Option<String>,
    /// Its fields and values.
    pub fields: Vec<FieldValue>,
}

impl Picture {
    /// Whether no key exists.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Texts(it) => it.values.is_empty(),
            Self::Tables(it) => it.tables.is_empty(),
            Self::Boxes(it) => it.count == 0,
            Self::Venn(it) => it.any.count == 0 && it.others.iter().all(|set| set.count == 0),
            Self::Ranking(it) => it.count == 0,
            Self::Bits(it) => it.days.is_empty(),
            Self::Estimates(it) => it.rows.is_empty(),
            Self::Maps(it) => it.maps.is_empty(),
            Self::Logs(it) => it.logs.is_empty(),
        }
    }
}

impl Members {
    /// The first members, in alphabetical order.
    pub fn of(name: &'static str, mut members: Vec<String>) -> Self {
        let count = members.len();
        members.sort();
        members.truncate(SHOWN);
        Self { name, count, members }
    }

    /// Number of members not listed.
    pub fn more(&self) -> usize {
        self.count - self.members.len()
    }
}

impl FieldValue {
    /// Fields and values, in the order of Redis's reply.
    pub fn all(pairs: Vec<(String, String)>) -> Vec<Self> {
        pairs.into_iter().map(|(field, value)| Self { field, value }).collect()
    }
}
