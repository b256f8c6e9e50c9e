//! State shared by all caches of one process.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use crate::{
    Key, Namespace, Observer,
    fetch::{bulkhead::Bulkhead, single_flight::SingleFlight},
    keys,
    local::{entries::LocalEntries, near::Near, negative::NegativeLimit},
    redis::{self, Address},
    write::write_behind::{Backlog, Queue},
};

/// Concurrent loads at the origin. More than it works on at a time, so that loads
/// with a simulated delay don't keep others waiting.
const MAX_RUNNING_LOADS: usize = 64;
/// Loads that may wait for one of those slots.
const MAX_QUEUED_LOADS: usize = 256;
/// The default size limit of an entry, in bytes. Copying a larger one would block
/// Redis's other clients noticeably.
pub const MAX_ENTRY_BYTES: usize = 1024 * 1024;

/// State shared by all caches of one process, on every thread.
pub struct Engine {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) single_flight: Arc<SingleFlight>,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) near: Arc<Near>,
    /// Copies that may be served past their TTL.
    pub(crate) stale: LocalEntries,
    pub(crate) negative: NegativeLimit,
    pub(crate) tombstones: NegativeLimit,
    pub(crate) write_queue: Queue,
    pub(crate) max_entry_bytes: usize,
    pub(crate) oversize_logged: Once,
}

impl Engine {
    /// Creates an empty engine. `prefix` is what the [`Store`](crate::redis::Store)
    /// puts before every key; `namespaces` are those whose values are cached.
    pub fn new(prefix: &str, namespaces: &[Namespace], observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            namespaces: namespaces.to_vec(),
            single_flight: Arc::default(),
            bulkhead: Bulkhead::new(MAX_RUNNING_LOADS, MAX_QUEUED_LOADS),
            near: Arc::new(Near::new(prefix)),
            stale: LocalEntries::default(),
            negative: NegativeLimit::default(),
            tombstones: NegativeLimit::default(),
            write_queue: Queue::default(),
            max_entry_bytes: MAX_ENTRY_BYTES,
            oversize_logged: Once::new(),
        }
    }

    /// Sets the size limit of an entry, in bytes including its header. A larger
    /// entry is neither stored nor read; [`Observer::entry_rejected`] counts it.
    pub fn with_max_entry_bytes(self, max_entry_bytes: usize) -> Self {
        Self { max_entry_bytes, ..self }
    }

    /// Whether an entry of this size may be stored. Each rejection is counted, but
    /// only the first is logged: the same value is loaded again and again.
    pub(crate) fn admit_entry(&self, namespace: Namespace, bytes: usize) -> bool {
        let fits = bytes <= self.max_entry_bytes;
        if !fits {
            let (namespace, max) = (namespace.name(), self.max_entry_bytes);
            self.observer.entry_rejected(namespace);
            self.oversize_logged.call_once(|| {
                log::warn!(
                    "a {namespace} entry of {bytes} bytes is not cached: the limit is {max} bytes. \
                     Further ones are counted, not logged"
                );
            });
        }
        fits
    }

    /// Subscribes the near cache to Redis's invalidation pushes, on the calling
    /// runtime. Without it the near cache stays empty.
    pub fn track(&self, address: &Address, prefix: &str) {
        let tracked = self.namespaces.iter().chain([&keys::TAG]);
        let prefixes = tracked.map(|namespace| format!("{prefix}{}:", namespace.name()));
        redis::track(address, prefixes.collect(), &self.near);
    }

    /// The number of loads that wait for the origin: now, and at most so far.
    pub fn queued(&self) -> (usize, usize) {
        (self.bulkhead.waiting(), self.bulkhead.max_waiting())
    }

    /// The acknowledged writes that the origin does not have yet, as last counted.
    pub fn backlog(&self) -> Backlog {
        self.write_queue.backlog()
    }

    /// The error that keeps acknowledged writes from the origin, and how long it
    /// has lasted; `None` while flushing works. A connection failure is not
    /// included, as [`Health`](crate::redis::Health) reports it.
    pub fn write_behind_failure(&self) -> Option<(String, Duration)> {
        self.write_queue.failure()
    }

    /// The number of near-cache entries, and whether invalidation pushes arrive.
    pub fn near(&self) -> (u64, bool) {
        (self.near.len(), self.near.is_tracking())
    }

    /// Invalidates everything this process knows about `key`.
    pub(crate) fn invalidate_local<T>(&self, key: &Key<T>) {
        self.invalidate_local_name(key.as_str());
    }

    /// Invalidates everything this process knows about a namespace.
    pub(crate) fn invalidate_namespace(&self, namespace: Namespace) {
        self.single_flight.close_all(namespace.name());
        self.near.invalidate_all();
        self.stale.clear();
    }

    pub(crate) fn invalidate_local_name(&self, name: &str) {
        self.single_flight.close(name);
        self.near.invalidate(name);
        // Last, as `near` has advanced the epoch: a load that began earlier can no
        // longer add its copy.
        self.stale.remove(name);
    }
}
