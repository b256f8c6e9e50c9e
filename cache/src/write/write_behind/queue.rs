//! This process's view of the queue: its length, and whether flushing works.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

use crate::condition::Condition;

/// The queue, as known to this process.
pub(crate) struct Queue {
    added: AtomicU64,
    write_added: Notify,
    waiting: AtomicU64,
    dead_letters: AtomicU64,
    /// Whether writes reach the origin.
    pub(super) flushing: Condition<String>,
    /// Whether the writes of stopped processes are taken over.
    pub(super) taking_over: Condition<String>,
}

/// Acknowledged writes that the origin does not have, of all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Writes waiting to be flushed.
    pub pending: u64,
    /// Writes that the origin rejected permanently.
    pub dead_letters: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            added: AtomicU64::default(),
            write_added: Notify::new(),
            waiting: AtomicU64::default(),
            dead_letters: AtomicU64::default(),
            flushing: Condition::healthy(
                "Write-behind flush (acknowledged writes stay queued in Redis)",
            ),
            taking_over: Condition::healthy(
                "Write-behind takeover (writes of stopped processes stay queued in Redis)",
            ),
        }
    }
}

impl Queue {
    /// Records that this process queued a write.
    pub(crate) fn record_added(&self) {
        self.added.fetch_add(1, Ordering::AcqRel);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.write_added.notify_one();
    }

    /// The number of writes this process queued since the last flush began.
    pub(super) fn added_since_flush(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }

    /// A flush begins, which includes those writes.
    pub(super) fn reset_added(&self) {
        self.added.store(0, Ordering::Release);
    }

    /// Waits until this process queues a write.
    pub(super) async fn wait_for_write(&self) {
        self.write_added.notified().await;
    }

    /// The length of the queue, as last counted.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Sets the length of the queue.
    pub(super) fn set_waiting(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Release);
    }

    /// The queued writes and dead letters, as last counted.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog { pending: self.waiting(), dead_letters: self.dead_letters.load(Ordering::Acquire) }
    }

    /// Sets both numbers.
    pub(crate) fn record_backlog(&self, backlog: Backlog) {
        self.set_waiting(backlog.pending);
        self.dead_letters.store(backlog.dead_letters, Ordering::Release);
    }

    /// Why writes don't reach the origin, and for how long.
    pub(crate) fn failure(&self) -> Option<(String, Duration)> {
        self.flushing.failure().or_else(|| self.taking_over.failure())
    }
}
