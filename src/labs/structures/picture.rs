//! How a value looks: plain data, made from Redis's replies. A page draws it.

use serde::Serialize;
use utoipa::ToSchema;

/// A list shows at most this many of its parts.
pub const SHOWN: usize = 24;

/// What there is to see of a structure. `kind` says which it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Picture {
    /// Strings: each key's text.
    Texts(Texts),
    /// Hashes: fields and their values.
    Tables(Tables),
    /// A list: boxes from left to right.
    Boxes(Boxes),
    /// Sets: two of them overlapping, and the others.
    Venn(Box<Venn>),
    /// A sorted set: who is where.
    Ranking(Ranking),
    /// Bitmaps: the bits of two days.
    Bits(Bits),
    /// HyperLogLogs, each beside a set of the same members.
    Estimates(Estimates),
    /// Points on the earth.
    Maps(Maps),
    /// Streams: their latest entries.
    Logs(Logs),
}

/// The texts of some keys.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Texts {
    /// Those that are there.
    pub values: Vec<Text>,
}

/// One text.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Text {
    /// Its key.
    pub key: &'static str,
    /// What it says.
    pub text: String,
    /// The same, if Redis can count with it.
    pub number: Option<i64>,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Some hashes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Tables {
    /// Those that are there.
    pub tables: Vec<Table>,
}

/// Fields and their values.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Table {
    /// The hash.
    pub key: &'static str,
    /// How many fields it has.
    pub count: usize,
    /// The first of them.
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
    /// Its key.
    pub key: &'static str,
    /// How many elements it has.
    pub count: u64,
    /// The elements at its left end.
    pub left: Vec<String>,
    /// How many are between.
    pub between: u64,
    /// The elements at its right end, if not all are on the left.
    pub right: Vec<String>,
}

/// Two sets, and what they have in common.
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
    /// In any: `SUNION left right`.
    pub any: Members,
    /// The other sets.
    pub others: Vec<Members>,
}

/// Some members of a set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Members {
    /// The key, or the command whose reply they are.
    pub name: &'static str,
    /// How many there are.
    pub count: usize,
    /// The first of them, in order.
    pub members: Vec<String>,
}

/// Who is where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Ranking {
    /// The sorted set.
    pub key: &'static str,
    /// How many members it has.
    pub count: u64,
    /// The first of them, the highest score first.
    pub rows: Vec<Ranked>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Ranked {
    /// 0 is first, as ZREVRANK has it.
    pub rank: usize,
    /// Who.
    pub member: String,
    /// How many points.
    pub score: f64,
    /// Its part of the largest score that is shown, 0 to 1, without its sign.
    pub share: f64,
}

/// Bitmaps of two days.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Bits {
    /// How many bits of each are drawn, from 0 on.
    pub drawn: usize,
    /// The days, and what they have in common where that was asked for.
    pub days: Vec<Day>,
    /// Of those active on the day before, the part that came back, 0 to 1.
    pub retention: Option<f64>,
}

/// One bitmap.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Day {
    /// Its key.
    pub key: &'static str,
    /// How many bits are set.
    pub actives: u64,
    /// Its length in bytes: as far as the highest bit that was written.
    pub bytes: u64,
    /// Which of the bits that are drawn are set.
    pub set: Vec<usize>,
    /// How many set bits lie beyond.
    pub beyond: u64,
}

/// HyperLogLogs, each beside a set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimates {
    /// Those that are there.
    pub rows: Vec<Estimate>,
}

/// One HyperLogLog and a set of the same members.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Estimate {
    /// Its key.
    pub key: &'static str,
    /// What PFCOUNT says.
    pub estimate: u64,
    /// What the set says.
    pub exact: u64,
    /// How far the estimate is off, in per cent of the exact count.
    pub error_percent: Option<f64>,
    /// `sparse` or `dense`.
    pub encoding: Option<&'static str>,
    /// Bytes that the HyperLogLog takes.
    pub bytes: u64,
    /// Bytes that the set takes.
    pub exact_bytes: u64,
    /// Bytes of the registers: STRLEN.
    pub length: u64,
}

/// Maps, one for each key.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Maps {
    /// Those that have points.
    pub maps: Vec<Map>,
}

/// Points, and the last search.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Map {
    /// The key.
    pub key: &'static str,
    /// How many points there are.
    pub count: u64,
    /// The first of them, by their geohash.
    pub points: Vec<Point>,
    /// Where was searched, if that was the last thing done here.
    pub search: Option<Search>,
}

/// A point on the earth, as Redis keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// What is there.
    pub member: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Its geohash of 52 bits, which is its score in a sorted set.
    pub geohash: u64,
    /// Kilometres from the middle of the search.
    pub distance_km: Option<f64>,
    /// Whether the search found it.
    pub found: bool,
}

/// A circle on the earth.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Search {
    /// Degrees east of its middle.
    pub longitude: f64,
    /// Degrees north of its middle.
    pub latitude: f64,
    /// Kilometres.
    pub radius_km: f64,
    /// The member in its middle, if it was searched by one.
    pub around: Option<String>,
}

/// Streams.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Logs {
    /// Those that are there.
    pub logs: Vec<Log>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Log {
    /// Its key.
    pub key: &'static str,
    /// How many entries it has.
    pub length: u64,
    /// The latest of them, the latest last.
    pub entries: Vec<LogEntry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogEntry {
    /// Its id.
    pub id: String,
    /// When that was, in UTC, if the id is a time.
    pub at: Option<String>,
    /// Its fields and values.
    pub fields: Vec<FieldValue>,
}

impl Picture {
    /// Whether there is nothing to be seen yet.
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
    /// The first of these, in order.
    pub fn of(name: &'static str, mut members: Vec<String>) -> Self {
        let count = members.len();
        members.sort();
        members.truncate(SHOWN);
        Self { name, count, members }
    }

    /// How many are not listed.
    pub fn more(&self) -> usize {
        self.count - self.members.len()
    }
}

impl FieldValue {
    /// Fields and values, as Redis tells them.
    pub fn all(pairs: Vec<(String, String)>) -> Vec<Self> {
        pairs.into_iter().map(|(field, value)| Self { field, value }).collect()
    }
}
