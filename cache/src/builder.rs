//! Builds a cache.

use std::{fmt, sync::Arc};

use crate::{
    BadAddress, Cache, Observer,
    redis::{Address, Client, HealthMonitor, track},
    shared::{Limits, Shared},
};

/// The settings of a [`Cache`]; see [`Cache::builder`].
#[derive(Clone)]
#[must_use]
pub struct CacheBuilder {
    address: Result<Address, BadAddress>,
    prefix: String,
    observer: Arc<dyn Observer>,
    limits: Limits,
}

impl Cache {
    /// Creates a cache with default settings on a `redis://`, `rediss://` (with the
    /// feature `tls`) or `redis+unix://` URL. Connects in the background, on the calling
    /// runtime.
    ///
    /// # Errors
    /// Returns [`BadAddress`] if the URL is not the address of a Redis server.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn connect(url: &str) -> Result<Self, BadAddress> {
        Self::builder(url).build()
    }

    /// Starts to build a cache on this URL.
    pub fn builder(url: &str) -> CacheBuilder {
        CacheBuilder::new(Address::parse(url))
    }

    /// Starts to build a cache on this address.
    #[cfg(feature = "client")]
    pub fn builder_at(address: &Address) -> CacheBuilder {
        CacheBuilder::new(Ok(address.clone()))
    }

    /// A cache that caches nothing: every lookup asks its origin. For tests, and for
    /// switching the cache off by configuration.
    pub fn off() -> Self {
        Self::new(Client::off(), Arc::new(Shared::off()))
    }

    /// A cache in the memory of this process, without Redis: for tests. It behaves as on
    /// Redis, which a property test holds it to; other processes don't share it, and there
    /// is no near cache.
    #[cfg(feature = "test-util")]
    pub fn in_memory() -> Self {
        let shared = Shared::new("", &Limits::default(), Arc::new(()));
        Self::new(Client::in_memory(""), Arc::new(shared))
    }
}

impl CacheBuilder {
    fn new(address: Result<Address, BadAddress>) -> Self {
        let (prefix, limits) = (String::new(), Limits::default());
        Self { address, prefix, observer: Arc::new(()), limits }
    }

    /// Names the connections, as CLIENT LIST shows them: printable ASCII without spaces.
    /// Default: `hitrate-cache`.
    pub fn client_name(self, name: &str) -> Self {
        let address = self.address.map(|address| address.with_client_name(name));
        Self { address, ..self }
    }

    /// Puts this before every key, such as `shop:`. Default: nothing.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Sends events to this observer.
    pub fn observer(self, observer: impl Observer) -> Self {
        self.shared_observer(Arc::new(observer))
    }

    /// As [`Self::observer`], for one that is used elsewhere as well.
    pub fn shared_observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Limits the loads that run at a time, and those that wait for them. Further ones
    /// fail with [`Error::Overloaded`](crate::Error::Overloaded). Default: 64 and 256.
    pub fn max_loads(self, running: usize, queued: usize) -> Self {
        let limits = Limits { loads: running, queued_loads: queued, ..self.limits };
        Self { limits, ..self }
    }

    /// Limits the size of an entry in Redis, in bytes. A larger one is neither stored nor
    /// read. Default: 1 MiB, as copying more would block Redis's other clients noticeably.
    pub fn max_entry_bytes(self, max_entry_bytes: usize) -> Self {
        let limits = Limits { entry_bytes: max_entry_bytes, ..self.limits };
        Self { limits, ..self }
    }

    /// Limits the near cache, and the copies kept for their grace period, to this many
    /// bytes each, counted as in Redis; in memory they take two to three times as much.
    /// Default: 16 MiB.
    pub fn memory_bytes(self, memory_bytes: u64) -> Self {
        Self { limits: Limits { memory_bytes, ..self.limits }, ..self }
    }

    /// Limits the absences that are cached at a time, so that requests for made-up ids
    /// can't fill Redis. Default: 1,000.
    pub fn max_absent_entries(self, max_absent_entries: u32) -> Self {
        let limits = Limits { absent_entries: max_absent_entries, ..self.limits };
        Self { limits, ..self }
    }

    /// Limits the tombstones that [`invalidate`](crate::Namespace::invalidate) leaves per
    /// minute; beyond that, a slow reader may bring an old value back. For services whose
    /// visitors choose the ids to invalidate. Default: no limit.
    pub fn max_tombstones_per_minute(self, max_tombstones: u32) -> Self {
        let limits = Limits { tombstones: Some(max_tombstones), ..self.limits };
        Self { limits, ..self }
    }

    /// Builds the cache, which connects in the background, on the calling runtime.
    ///
    /// # Errors
    /// Returns [`BadAddress`] if the URL is not the address of a Redis server.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn build(&self) -> Result<Cache, BadAddress> {
        let address = self.address.clone()?;
        let client = Client::open(&address, &self.prefix, &Arc::new(HealthMonitor::default()));
        Ok(self.build_on(&client))
    }

    /// Builds a cache on a client that is open already, with the client's prefix. It shares
    /// the client's connection, and nothing with other caches on it.
    #[cfg(feature = "client")]
    pub fn build_on_client(&self, client: &Client) -> Cache {
        self.build_on(client)
    }

    fn build_on(&self, client: &Client) -> Cache {
        let shared =
            Arc::new(Shared::new(client.prefix(), &self.limits, Arc::clone(&self.observer)));
        if let Some(address) = client.address() {
            track(address, shared.near.tracked(), &shared.near);
        }
        Cache::new(client.clone(), shared)
    }
}

/// Without the address, which may contain a password.
impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CacheBuilder");
        debug.field("prefix", &self.prefix).field("limits", &self.limits).finish_non_exhaustive()
    }
}
