//! The result of a write, as plain data.

use std::sync::Arc;

use crate::redis::RedisError;

/// The result of a write.
#[derive(Debug)]
#[non_exhaustive]
pub struct Written<T> {
    /// The new value; `None` if there was no value to change.
    pub value: Option<Arc<T>>,
    /// The new version, if the origin has versions.
    pub version: Option<u64>,
    /// The effect on the copy in Redis.
    pub effect: Effect,
}

/// The effect of a write on the copy in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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

impl<T> Clone for Written<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), effect: self.effect.clone(), ..*self }
    }
}
