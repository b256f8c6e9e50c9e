//! No cache: what every lookup would cost without one.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "Every read returns the current row: nothing can be stale.";
pub const RISKS: &str =
    "Every read waits for a database query. If the database is down, reads fail.";

/// Loads from the origin, and leaves the cache unchanged.
pub const READ_MODE: ReadMode = ReadMode::Bypass;

/// Writes to the origin, and drops the copy, as other requests may use the cache.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
