//! Write-through: a write updates the origin, then the cache.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A read right after a write is a hit and returns the new value. The database is written first, so Redis is never ahead of it.";
pub const RISKS: &str = "Every write waits for both. Values that are never read use memory in Redis until their TTL expires.";

/// As read-through.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin, then stores the value under its new version.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_store(request, value, origin).await
}
