//! Read-through: the caller asks the cache, and the cache does the loading.

use std::sync::Arc;

use crate::{
    Ask, Cache, Cached, FetchError, fetch::read::Reads, origin::Writable, write::written::Written,
};

pub const GUARANTEES: &str = "However many miss at once, in however many processes, the database is asked once. Nobody reads an older value than the last that was acknowledged. When the database fails or is slow, a copy past its TTL is served, and marked so.";
pub const RISKS: &str = "The first read after a write waits for the database.";

/// The cache loads on a miss, in a task of its own.
pub const READS: Reads = Reads::Through;

/// Writes to the origin; the cache forgets what is older.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(ask, value, origin).await
}
