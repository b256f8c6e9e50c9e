//! Cache-aside: the caller looks in the cache, and on a miss loads and fills.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Only what somebody asked for is cached, and when Redis is away the application still works: it asks the database.";
pub const RISKS: &str = "When many miss at once, each asks the database. And a reader who was slow may store an old value after somebody's write, where all find it until its TTL ends.";

/// Loads in the caller's own task on a miss: it ends when the caller leaves.
pub const READ_MODE: ReadMode = ReadMode::CacheAside;

/// Writes to the origin, then removes the copy.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
