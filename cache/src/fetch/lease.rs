//! The right to load a key, lent by Redis to one process at a time, so that N
//! processes make one load between them (Nishtala et al.: "Scaling Memcache at
//! Facebook", NSDI 2013, has leases; the lock is that of redis.io/docs:
//! `SET key token NX PX`). A holder renews it while it loads; when it dies, the
//! lease ends and the next one takes it.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;

use crate::{
    Key,
    fetch::retry::Backoff,
    keys,
    redis::{Command, RedisError, Store},
    scripts,
    time::millis,
    trace::Trace,
};

/// Between two looks for what the holder stores.
const POLL_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(10), max: Duration::from_millis(50) };
/// Never less: a wait of nothing would hammer Redis.
const MIN_POLL_DELAY: Duration = Duration::from_millis(5);

/// A lease that was taken.
pub struct Lease {
    store: Store,
    key: Key<u64>,
    token: u64,
    ttl: Duration,
}

impl Lease {
    /// A lease of `key`, to be taken by [`Self::taking`].
    pub fn new<T>(store: &Store, key: &Key<T>, ttl: Duration) -> Self {
        let (key, token) = (keys::lease(key), rand::random::<u64>() >> 1);
        Self { store: store.clone(), key, token, ttl }
    }

    /// The command that takes it. Replies nil when somebody else has it. O(1).
    pub fn acquire_command(&self) -> Command {
        let set = self.store.on("SET", &self.key).arg(self.token);
        set.arg("NX").arg("PX").arg(millis(self.ttl))
    }

    /// Whether something is there that is no lease, so that it never ends as one
    /// does. Costs a round trip: asked once by who did not get it. O(1).
    pub async fn is_wrong_type(&self) -> bool {
        let length = self.store.on("STRLEN", &self.key);
        self.store.run::<u64>(length, &Trace::disabled()).await == Err(RedisError::WrongType)
    }

    /// How long to wait before looking again, the `attempt`th time.
    pub fn poll_delay(attempt: u32) -> Duration {
        MIN_POLL_DELAY + POLL_BACKOFF.random_delay(attempt)
    }

    /// Does `work`, and renews the lease meanwhile. The work goes on while
    /// Redis is slow to answer a renewal.
    pub async fn hold_during<R>(&self, work: impl Future<Output = R>) -> R {
        tokio::select! {
            done = work => done,
            never = self.renew_periodically() => match never {},
        }
    }

    async fn renew_periodically(&self) -> Infallible {
        loop {
            sleep(self.ttl / 3).await;
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let renew = self.store.script(&scripts::RENEW, &self.key).arg(self.token);
        // A lease that can't be renewed ends: the worst of it is a second load.
        let _ = self.store.run::<i64>(renew.arg(millis(self.ttl)), &Trace::disabled()).await;
    }

    /// Gives it back, so that the next one need not wait for its end.
    pub async fn release(&self) {
        let _ = self.store.run::<i64>(self.release_command(), &Trace::disabled()).await;
    }

    /// The command that gives it back.
    pub fn release_command(&self) -> Command {
        self.store.script(&scripts::RELEASE, &self.key).arg(self.token)
    }
}
