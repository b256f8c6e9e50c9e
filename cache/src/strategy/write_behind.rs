//! Write-behind: a write is acknowledged once Redis has queued it; the origin is
//! updated later.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A write waits for Redis only, and several writes of a key may reach the database as one. Killing hitrate loses no acknowledged write: it stays in a stream, and another process takes over.";
pub const RISKS: &str = "Until a write is flushed, readers that bypass the cache get the old row. If Redis loses its memory before that, the write is lost unless an append-only file has it.";

/// As read-through; a pending write is the current value.
pub const READ_MODE: ReadMode = ReadMode::ReadThrough;

/// Stores and queues the write atomically in Redis. Without Redis it writes to the
/// origin.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_behind(request, value, origin).await
}
