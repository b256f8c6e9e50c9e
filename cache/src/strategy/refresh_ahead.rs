//! Refresh-ahead: a value that is asked for near its end is reloaded in the
//! background, by one loader, before anyone has to wait for it.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A key that is read in the last fifth of its TTL is reloaded in the background, by one loader: its readers go on hitting, and none waits.";
pub const RISKS: &str = "The database is asked for values that nobody may read again. A key that is read seldom still runs out, and its next reader waits.";

/// As read-through, and begins a reload in the last fifth of the TTL.
pub const READ_MODE: ReadMode = ReadMode::RefreshAhead;

/// Writes to the origin; the cache forgets what is older.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
