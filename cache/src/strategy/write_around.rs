//! Write-around: a write goes to the origin only, around the cache.

use std::sync::Arc;

use crate::{
    Ask, Cache, Cached, FetchError, fetch::read::Reads, origin::Writable, write::written::Written,
};

pub const GUARANTEES: &str = "Only what is read takes memory in Redis. A write drops the copy that is there, so nobody reads the older value.";
pub const RISKS: &str = "The first read after each write is a miss, and waits for the database.";

/// As read-through.
pub const READS: Reads = Reads::Through;

/// Writes to the origin; the copy in the cache is dropped, not replaced.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(ask, value, origin).await
}
