//! Queued writes, and the sink that takes them to the origin.

use std::time::Duration;

use crate::BoxError;

/// A write that the origin does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedWrite {
    /// The id of its stream entry.
    pub id: String,
    /// The key, without the store's prefix.
    pub key: String,
    /// The version of the pending copy in Redis.
    pub version: u64,
    /// When it was acknowledged, in microseconds since 1970 by Redis's clock;
    /// unique among the writes of a key.
    pub stamp: u64,
    /// The value, encoded by the codec of its namespace.
    pub value: Vec<u8>,
}

/// The result of applying one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyResult {
    /// The origin has it, under this version.
    Applied(u64),
    /// The origin has a later write, under this version.
    Superseded(u64),
    /// The origin will never accept it; the reason.
    Rejected(&'static str),
}

/// The destination of queued writes.
pub trait Sink: Send + Sync + 'static {
    /// The error of the destination.
    type Error: Into<BoxError> + Send;

    /// Applies all writes in this order, in one transaction: each only if its stamp
    /// is later than that of its row. A row with the same stamp counts as applied.
    ///
    /// # Errors
    /// Returns the origin's error; then none of the writes was applied.
    fn apply(
        &self,
        writes: &[QueuedWrite],
    ) -> impl Future<Output = Result<Vec<ApplyResult>, Self::Error>> + Send;

    /// Whether the origin rejects one of these values, while it may accept others.
    /// Writes are then applied one by one, and after several attempts the rejected one
    /// moves to the dead letters. After any other error, all are retried.
    fn is_value_error(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }
}

/// When queued writes are flushed.
#[derive(Debug, Clone, Copy)]
pub struct FlushPolicy {
    /// Flush when this many are queued; also the maximum batch size.
    pub size: usize,
    /// Flush at least this often.
    pub interval: Duration,
}
