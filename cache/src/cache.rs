//! The cache: a connection to Redis, and what all its namespaces share.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    RedisError, health::Health, local::decoded::DecodedEntries, redis::Client, shared::Shared,
};

/// A cache on Redis. Cloning it is cheap and shares everything.
///
/// It connects in the background and reconnects by itself. No call waits for that, and
/// none fails because of Redis.
#[derive(Clone)]
pub struct Cache {
    pub(crate) connection: Arc<CacheConnection>,
}

/// One connection, and what belongs to it.
pub(crate) struct CacheConnection {
    pub(crate) client: Client,
    pub(crate) shared: Arc<Shared>,
    pub(crate) decoded: DecodedEntries,
}

impl Cache {
    pub(crate) fn new(client: Client, shared: Arc<Shared>) -> Self {
        let decoded = DecodedEntries::default();
        Self { connection: Arc::new(CacheConnection { client, shared, decoded }) }
    }

    /// A handle to this cache with a connection of its own, driven by the calling runtime.
    ///
    /// A server with a runtime per worker, such as actix, creates one per worker: replies
    /// then arrive on the thread that waits for them.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    #[must_use]
    pub fn with_own_connection(&self) -> Self {
        Self::new(self.connection.client.reopened(), Arc::clone(&self.connection.shared))
    }

    /// Waits until the first connection is up, at most `timeout`. Not needed before using
    /// the cache.
    ///
    /// # Errors
    /// Returns the last [`RedisError`] when the time is up.
    pub async fn ready(&self, timeout: Duration) -> Result<(), RedisError> {
        self.connection.client.ready(timeout).await
    }

    /// The health of the cache now, without asking Redis.
    pub fn health(&self) -> Health {
        Health::of(self.connection.client.health(), self.shared())
    }

    /// The Redis client of this cache, for commands of your own.
    #[cfg(feature = "client")]
    pub fn client(&self) -> &Client {
        &self.connection.client
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.connection.shared
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("health", &self.health()).finish_non_exhaustive()
    }
}
