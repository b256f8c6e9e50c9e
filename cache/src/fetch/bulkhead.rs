//! Limits the loads that run at the origin and those that queue for it. Further
//! loads are rejected at once: in an unbounded queue every caller would time out.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;

/// The bulkhead in front of the origin.
#[derive(Debug)]
pub struct Bulkhead {
    running: Semaphore,
    waiting: AtomicUsize,
    queue_capacity: usize,
    max_waiting: AtomicUsize,
}

/// A place in the queue, until dropped.
struct QueueSlot<'a>(&'a AtomicUsize);

impl Bulkhead {
    /// Allows `running` concurrent loads and a queue of `queue_capacity`.
    pub fn new(running: usize, queue_capacity: usize) -> Self {
        Self {
            running: Semaphore::new(running),
            waiting: AtomicUsize::new(0),
            queue_capacity,
            max_waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a slot, in order of arrival.
    ///
    /// # Errors
    /// Returns [`Error::Overloaded`] if the queue is full.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, Error> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _slot = self.enter_queue().ok_or(Error::Overloaded)?;
        Ok(self.running.acquire().await.expect("the bulkhead is never closed"))
    }

    fn enter_queue(&self) -> Option<QueueSlot<'_>> {
        let increment = |count| (count < self.queue_capacity).then_some(count + 1);
        let before =
            self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, increment).ok()?;
        self.max_waiting.fetch_max(before + 1, Ordering::AcqRel);
        Some(QueueSlot(&self.waiting))
    }

    /// The current length of the queue.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The maximum length of the queue so far.
    pub fn max_waiting(&self) -> usize {
        self.max_waiting.load(Ordering::Acquire)
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_load_is_rejected_at_once_when_the_queue_is_full() {
        let bulkhead = Bulkhead::new(1, 1);
        let first = bulkhead.acquire().await.unwrap();
        let mut second = Box::pin(bulkhead.acquire());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(matches!(bulkhead.acquire().await, Err(Error::Overloaded)));
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
        drop(second);
        assert_eq!((bulkhead.waiting(), bulkhead.max_waiting()), (0, 1));
    }

    #[tokio::test]
    async fn a_cancelled_waiter_leaves_the_queue() {
        let bulkhead = Bulkhead::new(1, 1);
        let _first = bulkhead.acquire().await.unwrap();
        let mut second = Box::pin(bulkhead.acquire());
        assert!(second.as_mut().now_or_never().is_none());
        drop(second);
        assert_eq!(bulkhead.waiting(), 0);
    }
}
