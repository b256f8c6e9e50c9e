//! Write-behind: what takes the waiting writes to the origin.
//!
//! Writes wait in a Redis stream with a consumer group (redis.io/docs: "Redis
//! Streams"). Every process has a flusher. It takes writes off the stream by
//! size or by interval, gives them to the [`Sink`] in one transaction, settles
//! the copies, and only then acknowledges them. So each write arrives at least
//! once; the stamp makes the second time do nothing. What a dead process had
//! taken is taken over; what the sink refuses for good is set aside.

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

/// How long the last round may take when hitrate stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes waiting writes to the origin until it is stopped.
pub struct Flusher {
    task: JoinHandle<()>,
    stop: Arc<Notify>,
}

impl Flusher {
    /// Starts flushing, on the calling runtime.
    pub fn start(cache: &Cache, sink: impl Sink, policy: FlushPolicy) -> Self {
        let stop = Arc::new(Notify::new());
        let worker = FlushWorker::new(cache, sink, policy);
        Self { task: tokio::spawn(worker.run(Arc::clone(&stop))), stop }
    }

    /// Flushes a last time, within a bound; what stays waits in Redis.
    pub async fn stop(self) {
        self.stop.notify_one();
        let _ = timeout(STOP_TIMEOUT, self.task).await;
    }
}
