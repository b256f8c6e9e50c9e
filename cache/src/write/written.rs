//! The result of a write, as plain data.

use crate::redis::RedisError;

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The new version; `None` if there was no value to replace.
    pub version: Option<u64>,
    /// The effect on the copy in Redis.
    pub effect: Effect,
}

/// The effect of a write on the copy in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The copy was dropped; `false` if there was none.
    Invalidated(bool),
    /// The copy was replaced.
    Stored,
    /// The copy was replaced, and the write is queued for the origin.
    Queued,
    /// Redis failed, so the invalidation is deferred. This process does not use the
    /// copy until then.
    Deferred(RedisError),
}

impl Written {
    /// There was no value to replace.
    pub(crate) fn nothing() -> Self {
        Self { version: None, effect: Effect::Invalidated(false) }
    }
}
