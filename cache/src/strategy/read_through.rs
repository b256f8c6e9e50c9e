//! Read-through: the caller asks the cache, which loads missing values.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Concurrent misses share one database query, even across processes. No read returns a value older than the last acknowledged write. If the database fails or is slow, a stale copy is served and marked as stale.";
pub const RISKS: &str = "The first read after a write waits for the database.";

/// On a miss, the cache loads in a separate task.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin, then drops older copies.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
