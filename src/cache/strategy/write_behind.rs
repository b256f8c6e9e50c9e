//! Write-behind: a write is done when Redis has it; the origin gets it later.

use std::sync::Arc;

use super::super::{
    Ask, Cache, Failure,
    lookup::Lookup,
    origin::{Origin, Writable},
    writing::Written,
};
use crate::keys::Cached;

pub const GUARANTEES: &str = "A write waits for Redis only, and many writes of one key may become one. None that was acknowledged is lost when hitrate is killed: they wait in a stream, and another process takes over.";
pub const RISKS: &str = "Until it is flushed the database is behind. If Redis loses its memory before that, what its append-only file has not on disk is lost: at most the last second with everysec, nothing with always, everything without such a file.";

/// As read-through; a write that waits is the value.
pub async fn read<T: Cached, O: Origin<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    origin: O,
) -> Result<Lookup<T>, Failure> {
    cache.read_through(ask, origin).await
}

/// Stores and queues in one step of Redis. Without Redis it writes to the origin.
pub async fn write<T: Cached, O: Writable<T>>(
    cache: &Cache,
    ask: Ask<'_, T>,
    value: &Arc<T>,
    origin: O,
) -> Result<Written, Failure> {
    cache.write_later(ask, value, origin).await
}
