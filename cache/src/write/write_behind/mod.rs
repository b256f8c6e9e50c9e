//! Write-behind: flushes queued writes to the origin.
//!
//! Writes are queued in a Redis stream with a consumer group (redis.io/docs: "Redis
//! Streams"). Every process runs a flusher. It reads writes by batch size or
//! interval, applies them to the [`Sink`] in one transaction, settles the cached
//! copies, and only then acknowledges the entries. So each write arrives at least
//! once, and its stamp makes a repeated one a no-op. Entries claimed by a dead
//! process are claimed by another; writes that the sink rejects permanently move to
//! the dead-letter stream.

mod claimed;
mod flush_error;
mod queue;
mod sink;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use self::worker::FlushWorker;
pub use self::{
    queue::{Backlog, Queue},
    sink::{ApplyResult, FlushPolicy, QueuedWrite, Sink},
};
use crate::Cache;

/// Timeout of the last flush when hitrate stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Flushes queued writes to the origin until stopped.
pub struct Flusher {
    task: JoinHandle<()>,
    stop: Arc<Notify>,
}

impl Flusher {
    /// Starts a flusher on the calling runtime.
    pub fn start(cache: &Cache, sink: impl Sink, policy: FlushPolicy) -> Self {
        let stop = Arc::new(Notify::new());
        let worker = FlushWorker::new(cache, sink, policy);
        Self { task: tokio::spawn(worker.run(Arc::clone(&stop))), stop }
    }

    /// Flushes a last time, for at most 1 s. Writes left over stay queued in Redis.
    pub async fn stop(self) {
        self.stop.notify_one();
        let _ = timeout(STOP_TIMEOUT, self.task).await;
    }
}
