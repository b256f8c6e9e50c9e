//! What a process knows of the writes that wait: how many, and whether
//! anything keeps them from the origin.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

use crate::condition::Condition;

/// The waiting writes, as this process knows of them.
pub struct Queue {
    added: AtomicU64,
    write_added: Notify,
    waiting: AtomicU64,
    dead_letters: AtomicU64,
    /// Whether writes get to the origin.
    pub(super) flushing: Condition<String>,
    /// Whether the writes of processes that ended are taken over.
    pub(super) taking_over: Condition<String>,
}

/// Acknowledged writes that the origin does not have, in all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// They wait for it.
    pub pending: u64,
    /// It refused them for good.
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
    /// One more waits.
    pub(crate) fn record_added(&self) {
        self.added.fetch_add(1, Ordering::AcqRel);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.write_added.notify_one();
    }

    /// How many this process added since the last flush began.
    pub(super) fn added_since_flush(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }

    /// A flush begins: it takes those that were added.
    pub(super) fn reset_added(&self) {
        self.added.store(0, Ordering::Release);
    }

    /// Waits until this process adds one.
    pub(super) async fn wait_for_write(&self) {
        self.write_added.notified().await;
    }

    /// How many wait, in all processes, as of the last look.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// So many wait by now.
    pub(super) fn set_waiting(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Release);
    }

    /// How many wait, and how many were set aside.
    pub(crate) fn backlog(&self) -> Backlog {
        Backlog { pending: self.waiting(), dead_letters: self.dead_letters.load(Ordering::Acquire) }
    }

    /// Both, as Redis just said.
    pub(crate) fn record_backlog(&self, backlog: Backlog) {
        self.set_waiting(backlog.pending);
        self.dead_letters.store(backlog.dead_letters, Ordering::Release);
    }

    /// Why writes don't get to the origin, and for how long they haven't.
    pub(crate) fn failure(&self) -> Option<(String, Duration)> {
        self.flushing.failure().or_else(|| self.taking_over.failure())
    }
}
