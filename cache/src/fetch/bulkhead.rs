//! How many loads may run at the origin at once, and how many may wait for
//! their turn. More are turned away at once: a queue without end would answer
//! nobody in time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::FetchError;

/// The way to the origin.
#[derive(Debug)]
pub struct Bulkhead {
    running: Semaphore,
    waiting: AtomicUsize,
    queue: usize,
    most_waiting: AtomicUsize,
}

/// One that waits, until dropped, whether it got its turn or gave up.
struct Waiting<'a>(&'a AtomicUsize);

impl Bulkhead {
    /// Lets `running` loads run and `queue` more wait.
    pub fn new(running: usize, queue: usize) -> Self {
        Self {
            running: Semaphore::new(running),
            waiting: AtomicUsize::new(0),
            queue,
            most_waiting: AtomicUsize::new(0),
        }
    }

    /// A place at the origin, after those who came before; [`FetchError::Shed`]
    /// when too many wait already.
    pub async fn enter(&self) -> Result<SemaphorePermit<'_>, FetchError> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _waiting = self.queue_up().ok_or(FetchError::Shed)?;
        Ok(self.running.acquire().await.expect("the bulkhead is never closed"))
    }

    fn queue_up(&self) -> Option<Waiting<'_>> {
        let more = |count| (count < self.queue).then_some(count + 1);
        let before = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        self.most_waiting.fetch_max(before + 1, Ordering::AcqRel);
        Some(Waiting(&self.waiting))
    }

    /// How many wait at the moment.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The most who ever waited at once.
    pub fn most_waiting(&self) -> usize {
        self.most_waiting.load(Ordering::Acquire)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_is_turned_away_at_once() {
        let bulkhead = Bulkhead::new(1, 1);
        let first = bulkhead.enter().await.unwrap();
        let mut second = Box::pin(bulkhead.enter());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(matches!(bulkhead.enter().await, Err(FetchError::Shed)));
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
        drop(second);
        assert_eq!((bulkhead.waiting(), bulkhead.most_waiting()), (0, 1));
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let bulkhead = Bulkhead::new(1, 1);
        let _first = bulkhead.enter().await.unwrap();
        let mut second = Box::pin(bulkhead.enter());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert_eq!(bulkhead.waiting(), 0);
    }
}
