//! The simulated origin: rows with a revision, a delay, and a count of loads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::sleep};

/// Length of a row's text unless a trial asks for another, in bytes.
const TEXT_BYTES: usize = 100;

/// A cached value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub id: u64,
    /// 1 at first; each write adds one.
    pub revision: u64,
    pub text: Arc<str>,
}

/// The error of an origin that is down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OriginDown;

impl std::fmt::Display for OriginDown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the origin is down")
    }
}

impl std::error::Error for OriginDown {}

/// An origin that all rows share: one revision, one delay.
pub struct Origin {
    text: Arc<str>,
    revision: AtomicU64,
    delay: Duration,
    down: AtomicBool,
    loads: AtomicUsize,
    load_began: Notify,
}

impl Origin {
    /// Creates an origin that answers after `delay`.
    pub fn new(delay: Duration) -> Arc<Self> {
        Self::with_text(delay, TEXT_BYTES)
    }

    /// Creates an origin whose rows have a text of `bytes` bytes.
    pub fn with_text(delay: Duration, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            text: "x".repeat(bytes).into(),
            revision: AtomicU64::new(1),
            delay,
            down: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
            load_began: Notify::new(),
        })
    }

    /// Lets all further loads fail, after the delay.
    pub fn go_down(&self) {
        self.down.store(true, SeqCst);
    }

    /// Reads a row, then waits for the delay: a slow reader returns what it saw first.
    pub async fn load(self: Arc<Self>, id: u64) -> Result<Row, OriginDown> {
        let row = self.row(id);
        self.loads.fetch_add(1, SeqCst);
        self.load_began.notify_one();
        sleep(self.delay).await;
        match self.down.load(SeqCst) {
            true => Err(OriginDown),
            false => Ok(row),
        }
    }

    /// The row of this id, as it is now.
    pub fn row(&self, id: u64) -> Row {
        Row { id, revision: self.revision(), text: Arc::clone(&self.text) }
    }

    /// Changes the rows, at once. Returns the new revision.
    pub fn write(&self) -> u64 {
        self.revision.fetch_add(1, SeqCst) + 1
    }

    pub fn revision(&self) -> u64 {
        self.revision.load(SeqCst)
    }

    /// The number of loads that began.
    pub fn loads(&self) -> usize {
        self.loads.load(SeqCst)
    }

    /// Waits until this many loads have begun.
    pub async fn wait_for_loads(&self, count: usize) {
        while self.loads() < count {
            self.load_began.notified().await;
        }
    }
}
