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

pub(crate) use self::queue::Queue;
use self::worker::FlushWorker;
pub use self::{
    queue::Backlog,
    sink::{ApplyResult, FlushPolicy, QueuedWrite, Sink},
};
pub use crate::write::ordered::{Committed, OrderedOrigin, WriteOrder};
use crate::{Cache, keys, redis::typed, trace::Trace};

/// Timeout of the last flush when the process stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Flushes queued writes to the origin until stopped.
#[derive(Debug)]
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

impl Cache {
    /// Returns the number of acknowledged writes that the origin does not have yet.
    /// Asks Redis; if that fails, returns the last known numbers. O(1).
    pub async fn count_backlog(&self) -> Backlog {
        let client = &self.connection.client;
        let length = |key| client.on("XLEN", &key);
        let lengths = [length(keys::write_behind()), length(keys::dead_letters())];
        if let Ok([pending, dead_letters]) = client.run_all(lengths, &Trace::disabled()).await
            && let (Ok(pending), Ok(dead_letters)) =
                (pending.and_then(typed), dead_letters.and_then(typed))
        {
            self.shared().write_queue.record_backlog(Backlog { pending, dead_letters });
        }
        self.backlog()
    }

    /// The acknowledged writes that the origin does not have yet, as last counted.
    pub fn backlog(&self) -> Backlog {
        self.shared().write_queue.backlog()
    }

    /// The error that keeps acknowledged writes from the origin, and how long it
    /// has lasted; `None` while flushing works. A connection failure is not
    /// included, as [`Cache::health`] reports it.
    pub fn write_behind_failure(&self) -> Option<(String, Duration)> {
        self.shared().write_queue.failure()
    }
}
