//! Cache-aside: the caller reads the cache, and on a miss loads the value and fills
//! the cache.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Only requested values are cached. If Redis is unavailable, the application still works and queries the database.";
pub const RISKS: &str = "Concurrent misses each query the database. A slow reader may store an old value after a write, and it is served until its TTL expires.";

/// On a miss, loads in the caller's task: the load ends if the caller is cancelled.
pub const READ_MODE: ReadMode = ReadMode::CacheAside;

/// Writes to the origin, then drops the copy.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
