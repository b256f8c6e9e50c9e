//! State shared by all handles of a cache in one process, on every thread.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "write-behind")]
use crate::write::write_behind::Queue;
use crate::{
    CachePolicy, Observer,
    fetch::{bulkhead::Bulkhead, single_flight::SingleFlight},
    keys,
    local::{entries::LocalEntries, near::Near, negative::NegativeLimit},
    observer::Shielded,
    time::millis,
};

/// How long a tombstone lives at least: longer than Redis may freeze between a load and
/// its fill.
const MIN_TOMBSTONE_TTL: Duration = Duration::from_secs(60);

/// The limits of a cache; see [`CacheBuilder`](crate::CacheBuilder).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) loads: usize,
    pub(crate) queued_loads: usize,
    pub(crate) entry_bytes: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) absent_entries: u32,
    pub(crate) tombstones: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            loads: 64,
            queued_loads: 256,
            entry_bytes: 1024 * 1024,
            memory_bytes: 16 * 1024 * 1024,
            absent_entries: 1_000,
            tombstones: None,
        }
    }
}

/// State shared by all handles of a cache in one process.
pub(crate) struct Shared {
    pub(crate) prefix: Arc<str>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) single_flight: Arc<SingleFlight>,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) near: Arc<Near>,
    /// Copies that may be served past their TTL.
    pub(crate) stale: LocalEntries,
    pub(crate) negative: NegativeLimit,
    pub(crate) tombstones: NegativeLimit,
    #[cfg(feature = "write-behind")]
    pub(crate) write_queue: Queue,
    pub(crate) max_entry_bytes: usize,
    /// Whether the cache is off: every lookup asks its origin.
    pub(crate) is_off: bool,
    namespaces: Mutex<HashMap<&'static str, Arc<NamespaceState>>>,
    oversize_logged: Once,
}

/// What all handles of one namespace share.
pub(crate) struct NamespaceState {
    pub(crate) name: &'static str,
    /// The full key of its tag.
    pub(crate) tag: String,
    /// How long a tombstone lives, in milliseconds: longer than any load may take.
    tombstone_ms: AtomicU64,
    /// How long a process may hold a copy, in milliseconds, its grace period included.
    copy_ms: AtomicU64,
    /// Whether Redis is asked for invalidation pushes.
    is_tracked: AtomicBool,
    version_source: AtomicU8,
    replaced_logged: Once,
    version_logged: Once,
}

/// States of [`NamespaceState::version_source`].
const UNKNOWN: u8 = 0;
const ORIGIN: u8 = 1;
const CLOCK: u8 = 2;
const MIXED: u8 = 3;

impl NamespaceState {
    fn new(prefix: &str, name: &'static str) -> Self {
        let tag = [prefix, keys::tag(name).as_str()].concat();
        Self {
            name,
            tag,
            tombstone_ms: AtomicU64::new(millis(MIN_TOMBSTONE_TTL)),
            copy_ms: AtomicU64::new(0),
            is_tracked: AtomicBool::new(false),
            version_source: AtomicU8::new(UNKNOWN),
            replaced_logged: Once::new(),
            version_logged: Once::new(),
        }
    }

    /// Lets tombstones live as long as loads of this policy need.
    pub(crate) fn include(&self, policy: &CachePolicy) {
        let raise = |known: &AtomicU64, time: Duration| {
            if known.load(Ordering::Relaxed) < millis(time) {
                known.fetch_max(millis(time), Ordering::Relaxed);
            }
        };
        raise(&self.tombstone_ms, MIN_TOMBSTONE_TTL + policy.max_load());
        raise(&self.copy_ms, policy.ttl + policy.grace);
    }

    /// How long a tombstone lives: longer than any load of the namespace may take.
    pub(crate) fn tombstone_ttl(&self) -> Duration {
        Duration::from_millis(self.tombstone_ms.load(Ordering::Relaxed))
    }

    /// Lets tombstones live so long, for a test that can't wait a minute.
    #[cfg(test)]
    pub(crate) fn shorten_tombstones(&self, ttl: Duration) {
        self.tombstone_ms.store(millis(ttl), Ordering::Relaxed);
    }

    /// How long what outdates copies is kept: as long as any process may hold one, its
    /// grace period included, or a load may bring one.
    pub(crate) fn edited_ttl(&self) -> Duration {
        self.tombstone_ttl().max(Duration::from_millis(self.copy_ms.load(Ordering::Relaxed)))
    }

    /// Logs that data was replaced that is not an entry of the namespace: only the first
    /// time, as a deployment may change all entries.
    pub(crate) fn log_replaced(&self, what: &str) {
        self.replaced_logged.call_once(|| {
            log::warn!(
                "a key of namespace {} held {what} and was overwritten. Further ones are not \
                 logged",
                self.name
            );
        });
    }

    /// Logs, the first time, that a version is too large.
    pub(crate) fn log_version_out_of_range(&self) {
        self.version_logged.call_once(|| {
            log::error!(
                "namespace {} has versions of 2^53 or more; such values are not cached",
                self.name
            );
        });
    }

    /// Records whether a value has a version from its origin. Returns false if other
    /// values of the namespace differ in that; the first time, this is logged.
    pub(crate) fn has_consistent_versions(&self, is_from_origin: bool) -> bool {
        let source = if is_from_origin { ORIGIN } else { CLOCK };
        let (order, known) = (Ordering::Relaxed, &self.version_source);
        match known.compare_exchange(UNKNOWN, source, order, order) {
            Ok(_) => return true,
            Err(known) if known == source => return true,
            Err(_) => (),
        }
        if known.swap(MIXED, order) != MIXED {
            log::error!(
                "namespace {} mixes values with and without a version; they can't be ordered, \
                 so they are not cached",
                self.name
            );
        }
        false
    }
}

impl Shared {
    pub(crate) fn new(prefix: &str, limits: &Limits, observer: Arc<dyn Observer>) -> Self {
        Self {
            prefix: prefix.into(),
            observer: Arc::new(Shielded(observer)),
            single_flight: Arc::default(),
            bulkhead: Bulkhead::new(limits.loads, limits.queued_loads),
            near: Arc::new(Near::new(prefix, limits.memory_bytes)),
            stale: LocalEntries::new(limits.memory_bytes),
            negative: NegativeLimit::new(Some(limits.absent_entries)),
            tombstones: NegativeLimit::new(limits.tombstones),
            #[cfg(feature = "write-behind")]
            write_queue: Queue::default(),
            max_entry_bytes: limits.entry_bytes,
            is_off: false,
            namespaces: Mutex::default(),
            oversize_logged: Once::new(),
        }
    }

    /// That of a cache that is off.
    pub(crate) fn off() -> Self {
        Self { is_off: true, ..Self::new("", &Limits::default(), Arc::new(())) }
    }

    /// The state of this namespace.
    ///
    /// # Panics
    /// If the name is reserved, or not made of letters, digits, `-` and `_`.
    pub(crate) fn namespace(&self, name: &'static str) -> Arc<NamespaceState> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_valid = !name.is_empty() && name.chars().all(is_allowed);
        assert!(is_valid, "the namespace {name:?} is not made of letters, digits, - and _");
        assert!(!keys::RESERVED.contains(&name), "the namespace {name:?} is reserved");
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let state = namespaces
            .entry(name)
            .or_insert_with(|| NamespaceState::new(&self.prefix, name).into());
        Arc::clone(state)
    }

    /// The names of all namespaces.
    pub(crate) fn namespace_names(&self) -> Vec<&'static str> {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        namespaces.keys().copied().collect()
    }

    /// The longest life of a tombstone in any namespace.
    pub(crate) fn max_tombstone_ttl(&self) -> Duration {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        namespaces.values().map(|it| it.tombstone_ttl()).max().unwrap_or(MIN_TOMBSTONE_TTL)
    }

    /// Asks Redis for invalidation pushes of this namespace, unless it is asked already.
    pub(crate) fn track(&self, state: &NamespaceState) {
        if !state.is_tracked.load(Ordering::Acquire) {
            self.near.track(format!("{}{}:", self.prefix, state.name));
            // Only now: a handle that finds it set must not use the near cache too early.
            state.is_tracked.store(true, Ordering::Release);
        }
    }

    /// Whether an entry of this size may be stored. Each rejection is counted, but
    /// only the first is logged: the same value is loaded again and again.
    pub(crate) fn admits_entry(&self, namespace: &'static str, bytes: usize) -> bool {
        let fits = bytes <= self.max_entry_bytes;
        if !fits {
            let max = self.max_entry_bytes;
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

    /// Drops everything this process knows about a key.
    pub(crate) fn invalidate_local(&self, name: &str) {
        self.single_flight.close(name);
        self.near.invalidate(name);
        // Last, as `near` has advanced the epoch: a load that began earlier can no
        // longer add its copy.
        self.stale.remove(name);
    }

    /// Drops everything this process knows about a namespace.
    pub(crate) fn invalidate_namespace(&self, namespace: &str) {
        self.single_flight.close_all(namespace);
        self.near.invalidate_all();
        self.stale.clear();
    }

    /// Drops everything this process knows.
    pub(crate) fn invalidate_everything(&self) {
        for namespace in self.namespace_names() {
            self.single_flight.close_all(namespace);
        }
        self.near.invalidate_all();
        self.stale.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::redis::InvalidationListener as _;

    /// Two handles of a namespace are created at once, while other namespaces are tracked:
    /// whoever has one must not find the near cache in use before Redis is asked.
    #[test]
    fn a_namespace_registered_later_is_not_served_before_it_is_tracked() {
        for _ in 0..2_000 {
            let shared = Shared::new("p:", &Limits::default(), Arc::new(()));
            shared.track(&shared.namespace("first"));
            let tracked = shared.near.tracked().borrow().len();
            shared.near.tracking_started(tracked);
            assert!(shared.near.is_tracking());
            let later = shared.namespace("later");
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        shared.track(&later);
                        assert!(!shared.near.is_tracking());
                    });
                }
            });
            shared.near.tracking_started(tracked);
            assert!(!shared.near.is_tracking(), "one is missing");
            shared.near.tracking_started(tracked + 1);
            assert!(shared.near.is_tracking());
        }
    }
}
