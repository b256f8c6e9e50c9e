//! Write-behind: a write is done when Redis has it; the origin gets it later.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A write waits for Redis only, and several writes of one key may reach the database as one. A hitrate that is killed loses none that it acknowledged: they wait in a stream, and another process takes over.";
pub const RISKS: &str = "Until a write is flushed the database is behind, and whoever asks it past the cache gets the old row. If Redis loses its memory first, the write is lost, unless an append-only file has it.";

/// As read-through; a write that waits is the value.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Stores and queues in one step of Redis. Without Redis it writes to the origin.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_behind(request, value, origin).await
}
