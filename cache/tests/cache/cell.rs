//! One value of an origin that gives its values no version.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use hitrate_cache::CachePolicy;
use tokio::time::sleep;

/// A value at its origin. Clones share it.
#[derive(Clone, Default)]
pub struct Cell(Arc<State>);

#[derive(Default)]
struct State {
    value: Mutex<Option<u64>>,
    loads: AtomicU64,
    fails: AtomicBool,
}

/// The origin does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the origin is down")]
pub struct Down;

/// What the origin answers. Owns what it needs.
pub type Answer = BoxFuture<'static, Result<Option<u64>, Down>>;

impl Cell {
    pub fn new(value: impl Into<Option<u64>>) -> Self {
        let cell = Self::default();
        cell.set(value);
        cell
    }

    /// Changes the value without telling any cache.
    pub fn set(&self, value: impl Into<Option<u64>>) {
        *self.0.value.lock().unwrap() = value.into();
    }

    pub fn value(&self) -> Option<u64> {
        *self.0.value.lock().unwrap()
    }

    pub fn fail(&self, fails: bool) {
        self.0.fails.store(fails, Ordering::SeqCst);
    }

    pub fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::SeqCst)
    }

    /// Reads the value.
    pub fn load(&self) -> Answer {
        self.slow_load(Duration::ZERO, Duration::ZERO)
    }

    /// Reads the value after the first time, and delivers it after the second.
    pub fn slow_load(&self, before: Duration, after: Duration) -> Answer {
        let cell = self.clone();
        Box::pin(async move {
            cell.0.loads.fetch_add(1, Ordering::SeqCst);
            pause(before).await;
            if cell.0.fails.load(Ordering::SeqCst) {
                return Err(Down);
            }
            let value = cell.value();
            pause(after).await;
            Ok(value)
        })
    }

    /// Changes the value after the first time, and acknowledges it after the second.
    pub fn slow_write(
        &self,
        value: impl Into<Option<u64>>,
        before: Duration,
        after: Duration,
    ) -> Answer {
        let (cell, value) = (self.clone(), value.into());
        Box::pin(async move {
            pause(before).await;
            cell.set(value);
            pause(after).await;
            Ok(value)
        })
    }

    /// Changes the value.
    pub fn write(&self, value: impl Into<Option<u64>>) -> Answer {
        self.slow_write(value, Duration::ZERO, Duration::ZERO)
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// The default policy without what is random, and with time for a busy machine.
pub fn plain() -> CachePolicy {
    CachePolicy::ttl(Duration::from_secs(60)).jitter(0.0).hard_timeout(Duration::from_secs(5))
}
