//! Write-around: a write goes to the origin only, around the cache.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Only what is read takes memory in Redis. A write drops the copy that is there, so nobody reads the older value.";
pub const RISKS: &str = "The first read after each write is a miss, and waits for the database.";

/// As read-through.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin; the copy in the cache is dropped, not replaced.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
