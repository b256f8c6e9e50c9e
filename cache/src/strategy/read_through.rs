//! Read-through: the caller asks the cache, and the cache does the loading.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "However many miss at once, in however many processes, the database is asked once. Nobody reads an older value than the last that was acknowledged. When the database fails or is slow, a copy past its TTL is served, and marked so.";
pub const RISKS: &str = "The first read after a write waits for the database.";

/// The cache loads on a miss, in a task of its own.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Writes to the origin; the cache forgets what is older.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
