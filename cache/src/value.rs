//! Values with their versions, and where an answer came from.

use serde::Serialize;

/// Where the answer to a lookup came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Redis held it.
    Cache,
    /// The database was asked.
    Database,
    /// This process held it, and nobody else was asked.
    Memory,
    /// A copy past its TTL: the database failed, was slow, or Redis is away.
    Stale,
}

impl Source {
    /// Every source, in the order of the panels.
    pub const ALL: [Self; 4] = [Self::Cache, Self::Database, Self::Memory, Self::Stale];

    /// The word for it, everywhere the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Database => "database",
        }
    }

    /// Whether the answer took no query of the database.
    pub const fn is_hit(self) -> bool {
        !matches!(self, Self::Database)
    }
}

/// A value with the number of its edition: each edit counts it up.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// 1 for what was never edited.
    pub version: u64,
}
