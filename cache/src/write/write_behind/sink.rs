//! Queued writes, and the sink that takes them to the origin.

use std::time::Duration;

use crate::error::OriginError;

/// One write that the origin does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedWrite {
    /// Its id in the stream.
    pub id: String,
    /// The key, without prefix.
    pub key: String,
    /// The version that the copy in Redis has.
    pub version: u64,
    /// When it was acknowledged, in microseconds since 1970 by Redis's clock;
    /// no two writes of one key have the same.
    pub stamp: u64,
    /// The value as JSON.
    pub value: String,
}

/// What became of a write at the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyResult {
    /// The origin has it, under this version.
    Applied(u64),
    /// The origin has something later, under this version.
    Superseded(u64),
    /// It can never have it.
    Rejected(&'static str),
}

/// Where waiting writes go.
pub trait Sink: Send + Sync + 'static {
    /// What goes wrong there.
    type Error: OriginError;

    /// Writes all of them, in this order, in one transaction: each only where
    /// its stamp is later than that of the row. What is there already with the
    /// same stamp counts as written.
    fn apply(
        &self,
        writes: &[QueuedWrite],
    ) -> impl Future<Output = Result<Vec<ApplyResult>, Self::Error>> + Send;
}

/// When waiting writes are flushed.
#[derive(Debug, Clone, Copy)]
pub struct FlushPolicy {
    /// As soon as so many wait, and never more at once.
    pub size: usize,
    /// At the latest after this long.
    pub interval: Duration,
}
