//! None: the origin alone, what every lookup would cost without a cache.

use std::sync::Arc;

use crate::{
    Cache, Cached, FetchError, Request, fetch::read::ReadMode, origin::Writable,
    write::written::Written,
};

pub const GUARANTEES: &str =
    "Every read is what the database holds at that moment: nothing can be out of date.";
pub const RISKS: &str = "Every read waits for a query of the database, and when the database is down there is no answer.";

/// Asks the origin, and leaves the cache as it is.
pub const READ_MODE: ReadMode = ReadMode::Bypass;

/// Writes to the origin. Others may use a cache: it forgets its copy.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    request: Request<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, FetchError> {
    cache.write_and_invalidate(request, value, origin).await
}
