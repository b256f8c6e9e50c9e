//! Write-around: a write updates the origin only, and drops the copy.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Only values that are read use memory in Redis. A write drops the existing copy, so no read returns the older value.";
pub const RISKS: &str = "The first read after each write is a miss and waits for the database.";

/// As read-through.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin, then drops the copy instead of replacing it.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
