//! State shared by all caches of one process, on every thread.

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

/// Loads that run at the origin at once: more than it works on at a time, so
/// that simulated waiting does not keep others out.
const MAX_RUNNING_LOADS: usize = 64;
/// Loads that wait for their turn.
const MAX_QUEUED_LOADS: usize = 256;
/// The largest entry, unless the user of the cache says otherwise: Redis serves
/// everybody else while it does not copy a larger one.
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
    /// Nothing cached, nothing under way. `prefix` is what the store puts before
    /// every key; `namespaces` are those whose values are cached.
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

    /// Sets the largest entry, in bytes, header included. A larger one is neither
    /// stored nor read, but counted.
    pub fn with_max_entry_bytes(self, max_entry_bytes: usize) -> Self {
        Self { max_entry_bytes, ..self }
    }

    /// Whether an entry may be stored. Counts one that may not; the log has
    /// only the first, as the same value is loaded again and again.
    pub(crate) fn admit_entry(&self, namespace: Namespace, bytes: usize) -> bool {
        let fits = bytes <= self.max_entry_bytes;
        if !fits {
            let (namespace, max) = (namespace.name(), self.max_entry_bytes);
            self.observer.entry_rejected(namespace);
            self.oversize_logged.call_once(|| {
                log::warn!(
                    "a {namespace} of {bytes} bytes is not cached: an entry may have {max}. \
                     Later ones are only counted"
                );
            });
        }
        fits
    }

    /// Lets Redis tell the near cache what changes, from now on. Without it the
    /// near cache keeps nothing. Runs on the calling runtime.
    pub fn track(&self, address: &Address, prefix: &str) {
        let tracked = self.namespaces.iter().chain([&keys::TAG]);
        let prefixes = tracked.map(|namespace| format!("{prefix}{}:", namespace.name()));
        redis::track(address, prefixes.collect(), &self.near);
    }

    /// How many loads wait for their turn, and the most that ever did.
    pub fn queued(&self) -> (usize, usize) {
        (self.bulkhead.waiting(), self.bulkhead.max_waiting())
    }

    /// The acknowledged writes that the origin does not have, as of the last look.
    pub fn backlog(&self) -> Backlog {
        self.write_queue.backlog()
    }

    /// Why acknowledged writes don't get to the origin, and since when; `None`
    /// while they do. That Redis can't be reached is no part of
    /// it: its own health says so.
    pub fn write_behind_failure(&self) -> Option<(String, Duration)> {
        self.write_queue.failure()
    }

    /// How many copies this process holds, and whether Redis tells it of changes.
    pub fn near(&self) -> (u64, bool) {
        (self.near.len(), self.near.is_tracking())
    }

    /// From now on nobody here uses what was known of `key`.
    pub(crate) fn invalidate_local<T>(&self, key: &Key<T>) {
        self.invalidate_local_name(key.as_str());
    }

    /// Invalidates everything that this process knows of a namespace.
    pub(crate) fn invalidate_namespace(&self, namespace: Namespace) {
        self.single_flight.close_all(namespace.name());
        self.near.invalidate_all();
        self.stale.clear();
    }

    pub(crate) fn invalidate_local_name(&self, name: &str) {
        self.single_flight.close(name);
        self.near.invalidate(name);
        // After the count went up: nobody can remember what was loaded before.
        self.stale.remove(name);
    }
}
