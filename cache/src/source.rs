//! The sources of an answer.

use serde::Serialize;

/// Where the answer to a lookup came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A copy in Redis.
    Cache,
    /// The origin, which is a database as a rule.
    Database,
    /// A copy in this process; nothing else was asked.
    Memory,
    /// A copy past its TTL, because the database failed or was slow, or Redis is
    /// unavailable.
    Stale,
}

impl Source {
    /// Every source, in the order in which panels show them.
    pub const ALL: [Self; 4] = [Self::Cache, Self::Database, Self::Memory, Self::Stale];

    /// The name in JSON, metrics and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Database => "database",
        }
    }

    /// Whether the answer took no database query.
    pub const fn is_hit(self) -> bool {
        !matches!(self, Self::Database)
    }
}
