//! The result of an invalidation, as plain data.

use crate::redis::RedisError;

/// The effect of an invalidation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an invalidation may be deferred"]
#[non_exhaustive]
pub enum Invalidated {
    /// There was no copy.
    Nothing,
    /// The copy, or all copies, were dropped.
    Dropped,
    /// A pending write-behind copy was kept: the origin does not have its value
    /// yet.
    Kept,
    /// Redis failed, so the invalidation is deferred: it runs before this process uses the
    /// copy again. Other processes may serve it until then.
    Deferred(RedisError),
}
