//! The result of a write, as plain data.

use crate::redis::RedisError;

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new version; `None` when there was no value to replace.
    pub version: Option<u64>,
    /// What became of the copy in Redis.
    pub effect: Effect,
}

/// What a write did to the copy in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Dropped it, or there was none.
    Invalidated(bool),
    /// Replaced it.
    Stored,
    /// Replaced it, and the origin gets it later.
    Queued,
    /// Redis could not be told yet. Nobody here uses the copy meanwhile.
    Deferred(RedisError),
}

impl Written {
    /// There was no value to replace.
    pub(crate) fn nothing() -> Self {
        Self { version: None, effect: Effect::Invalidated(false) }
    }
}
