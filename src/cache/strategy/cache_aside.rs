//! Cache-aside: the caller looks in the cache, and on a miss loads and fills.

use std::sync::Arc;

use super::super::{
    Ask, Cache, Failure,
    lookup::Lookup,
    origin::{Origin, Writable},
    writing::Written,
};
use crate::keys::Cached;

pub const GUARANTEES: &str =
    "Only what is asked for is cached, and the application works without the cache.";
pub const RISKS: &str = "Whoever misses at the same time loads at the same time, and a reader who was slow may store an old value after an edit: plain has no protection against either.";

/// Loads in the caller's own task on a miss: it ends when the caller leaves.
pub async fn read<T: Cached, O: Origin<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    origin: O,
) -> Result<Lookup<T>, Failure> {
    cache.read_aside(ask, origin).await
}

/// Writes to the origin, then removes the copy.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, Failure> {
    cache.write_and_forget(ask, value, origin).await
}
