//! Leases: the right to load a key, granted by Redis to one process at a time, so
//! that N processes make one load between them. Leases are described in Nishtala et
//! al., "Scaling Memcache at Facebook", NSDI 2013; the lock is the one of
//! redis.io/docs, `SET key token NX PX`. The holder renews its lease while it
//! loads; when it dies, the lease expires and another process takes over.

use std::{convert::Infallible, time::Duration};

use tokio::{runtime::Handle, time::sleep};

use crate::{
    fetch::retry::Backoff,
    keys,
    redis::{Client, Command, Key, RedisError},
    scripts,
    time::millis,
    trace::Trace,
};

/// Delay between two polls for the holder's result.
const POLL_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(10), max: Duration::from_millis(50) };
/// The minimum delay: without one, waiters would hammer Redis.
const MIN_POLL_DELAY: Duration = Duration::from_millis(5);

/// A lease on one key.
#[derive(Clone)]
pub struct Lease {
    client: Client,
    key: Key<u64>,
    token: u64,
    ttl: Duration,
}

/// Releases a lease when dropped: the load may panic, or be cancelled with its caller.
pub struct ReleaseOnDrop(Option<Lease>);

impl ReleaseOnDrop {
    /// Leaves the lease as it is.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        if let (Some(lease), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { lease.release().await });
        }
    }
}

impl Lease {
    /// Creates a lease on `key`; [`Self::acquire_command`] acquires it.
    pub fn new<T>(client: &Client, key: &Key<T>, ttl: Duration) -> Self {
        let (key, token) = (keys::lease(client.prefix(), key), rand::random::<u64>() >> 1);
        Self { client: client.clone(), key, token, ttl }
    }

    /// A guard that releases the lease, held or not.
    pub fn release_on_drop(&self) -> ReleaseOnDrop {
        ReleaseOnDrop(Some(self.clone()))
    }

    /// Acquires the lease. Replies nil if another process holds it. O(1).
    pub fn acquire_command(&self) -> Command {
        let set = self.client.on("SET", &self.key).arg(self.token);
        set.arg("NX").arg("PX").arg(millis(self.ttl))
    }

    /// Whether the key holds something other than a lease, which may never expire.
    /// Costs a round trip; only a process that failed to acquire the lease asks.
    /// O(1).
    pub async fn is_wrong_type(&self) -> bool {
        let length = self.client.on("STRLEN", &self.key);
        self.client.run::<u64>(length, &Trace::disabled()).await == Err(RedisError::WrongType)
    }

    /// The delay before poll number `attempt`.
    pub fn poll_delay(attempt: u32) -> Duration {
        MIN_POLL_DELAY + POLL_BACKOFF.random_delay(attempt)
    }

    /// Runs `work`, and renews the lease meanwhile. A slow renewal does not hold up
    /// the work.
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
        let renew = self.client.script(&scripts::RENEW, &self.key).arg(self.token);
        // If renewal fails, the lease expires; the worst case is a second load.
        let _ = self.client.run::<i64>(renew.arg(millis(self.ttl)), &Trace::disabled()).await;
    }

    /// Releases the lease, so that others need not wait for its expiry.
    pub async fn release(&self) {
        let _ = self.client.run::<i64>(self.release_command(), &Trace::disabled()).await;
    }

    /// Releases the lease if this process still holds it.
    pub fn release_command(&self) -> Command {
        self.client.script(&scripts::RELEASE, &self.key).arg(self.token)
    }
}
