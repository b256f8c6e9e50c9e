//! Refresh-ahead: a value read near the end of its TTL is reloaded in the
//! background, by one loader, before a reader has to wait for it.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str = "A key that is read in the last fifth of its TTL is reloaded in the background by one loader: its readers keep hitting the cache and none waits.";
pub const RISKS: &str = "The database is queried for values that may never be read again. A rarely read key still expires, and its next reader waits.";

/// As read-through, with a background reload in the last fifth of the TTL.
pub const READ_MODE: ReadMode = ReadMode::RefreshAhead;

/// Writes to the origin, then drops older copies.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
