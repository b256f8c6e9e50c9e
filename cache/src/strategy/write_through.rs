//! Write-through: a write goes to the origin and, in the same act, to the cache.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A read right after a write is a hit, and brings what was just written. The database is written first, so Redis never holds what it does not have.";
pub const RISKS: &str =
    "Every write waits for both, and what nobody reads takes memory in Redis until its TTL ends.";

/// As read-through.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin, then stores what was written under its new version.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_store(request, value, origin).await
}
