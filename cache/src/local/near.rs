//! The near cache: copies in this process, so that a hit needs no round trip.
//!
//! Redis pushes the name of each changed key ([`crate::redis::track`]), and its
//! copy is dropped. A fill may race with such a push: its value was read before the
//! change, but arrives after the push. So each stripe of keys has an epoch that
//! counts its invalidations, and a copy is added only if the epoch is still the one
//! from before the value was requested. Epoch and map change under one lock.
//! Reading the epoch before the request takes no lock: an old epoch rejects the
//! copy, and a new one was read before the request was sent.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    Source, keys,
    local::{cached_copy::CachedCopy, entries::LocalEntries, slots::slot},
    redis::InvalidationListener,
    time::micros,
};

/// The number of stripes: enough that two busy keys seldom share one.
const STRIPES: usize = 256;
/// The number of groups of tags.
const TAG_GROUPS: usize = 256;
/// How long copies are served after Redis became unavailable: about as long as a
/// restart takes. Edits by other processes are not noticed meanwhile.
pub const MAX_OUTAGE: Duration = Duration::from_secs(5);

/// States of [`Near::tracking`]; any other value is the microsecond at which
/// tracking was lost.
const OFF: u64 = 0;
const ON: u64 = 1;

/// The near cache of this process.
pub struct Near {
    entries: LocalEntries,
    stripes: Vec<Stripe>,
    started: Instant,
    /// Whether invalidation pushes arrive: [`OFF`], [`ON`], or when they stopped,
    /// in microseconds since `started`.
    tracking: AtomicU64,
    /// The number of changes of tags of entries.
    tag_changes: AtomicU64,
    /// Whether a copy may have a tag of this group.
    has_tagged: Vec<AtomicBool>,
    prefix: String,
    /// The start of the keys whose changes Redis reports.
    tracked: watch::Sender<Vec<String>>,
}

/// A subset of the keys.
#[derive(Default)]
struct Stripe {
    /// The number of invalidations. Written under the lock, but read without it, so
    /// that concurrent lookups don't wait for each other.
    epoch: AtomicU64,
    /// Held while the epoch or a copy changes.
    mutex: Mutex<()>,
}

/// The epoch of a key's stripe, read before its value was requested.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    stripe: u64,
    tags: u64,
}

impl Epoch {
    /// The epoch of the stripe, as a number.
    pub fn stripe(self) -> u64 {
        self.stripe
    }
}

impl Near {
    /// Creates an empty near cache, disabled until
    /// [`InvalidationListener::tracking_started`]. `prefix` is what the store puts
    /// before every key.
    pub fn new(prefix: &str, capacity: u64) -> Self {
        Self {
            entries: LocalEntries::new(capacity),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            started: Instant::now(),
            tracking: AtomicU64::new(OFF),
            tag_changes: AtomicU64::new(0),
            has_tagged: (0..TAG_GROUPS).map(|_| AtomicBool::new(false)).collect(),
            prefix: prefix.to_owned(),
            tracked: watch::Sender::default(),
        }
    }

    /// Asks for changes of the keys that begin so, full keys. Until Redis reports them,
    /// nothing is kept.
    pub fn track(&self, start: String) {
        self.tracked.send_modify(|tracked| {
            if tracked.is_empty() {
                tracked.extend([keys::TAG, keys::TAGS].map(|tag| format!("{}{tag}:", self.prefix)));
            }
            if !tracked.contains(&start) {
                tracked.push(start);
                self.tracking.store(OFF, Ordering::Release);
            }
        });
    }

    /// The start of the keys whose changes Redis is to report; empty if there is none.
    pub fn tracked(&self) -> watch::Receiver<Vec<String>> {
        self.tracked.subscribe()
    }

    /// The copy of `name`, if it may be served. While Redis is unavailable it is
    /// marked stale, as changes are not reported.
    pub fn get<T: Send + Sync + 'static>(
        &self,
        name: &str,
        is_redis_unavailable: bool,
    ) -> Option<CachedCopy<T>> {
        let source = self.serving_source(is_redis_unavailable)?;
        self.entries.get(name).map(|copy| CachedCopy { source, ..copy })
    }

    fn serving_source(&self, is_redis_unavailable: bool) -> Option<Source> {
        match self.tracking.load(Ordering::Acquire) {
            ON => Some(Source::Memory),
            OFF => None,
            lost_at => {
                let ago = micros(self.started.elapsed()).saturating_sub(lost_at);
                (is_redis_unavailable && ago < micros(MAX_OUTAGE)).then_some(Source::Stale)
            }
        }
    }

    /// How much longer the copy of `name` is kept.
    pub fn left(&self, name: &str) -> Duration {
        self.entries.left(name)
    }

    /// Whether invalidation pushes arrive, so that copies may be kept.
    pub fn is_tracking(&self) -> bool {
        self.tracking.load(Ordering::Acquire) == ON
    }

    /// Returns the current epoch. Read it before requesting a value to
    /// [`Self::insert`].
    pub fn epoch(&self, name: &str) -> Epoch {
        let tags = self.tag_changes.load(Ordering::SeqCst);
        Epoch { stripe: self.stripe(name).epoch(), tags }
    }

    /// Adds a copy for at most `ttl`, unless its key or one of its tags was invalidated
    /// since `epoch`.
    pub fn insert<T: Send + Sync + 'static>(
        &self,
        name: &str,
        copy: CachedCopy<T>,
        ttl: Duration,
        epoch: Epoch,
    ) {
        // Before the check: a change of the tag either sees this or is seen by it.
        for (tag, _) in copy.tags.iter() {
            self.has_tagged[slot(tag, TAG_GROUPS)].store(true, Ordering::SeqCst);
        }
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        let has_same_tags =
            copy.tags.is_empty() || self.tag_changes.load(Ordering::SeqCst) == epoch.tags;
        if stripe.epoch() != epoch.stripe || !has_same_tags || !self.is_tracking() {
            return;
        }
        let time = copy.left.map_or(ttl, |left| left.min(ttl));
        self.entries.insert(name, copy, time);
    }

    /// Runs `action` unless the key was invalidated since `epoch`.
    pub fn if_unchanged(&self, name: &str, epoch: Epoch, action: impl FnOnce()) {
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        if stripe.epoch() == epoch.stripe {
            action();
        }
    }

    /// Drops the copy of `name`, and rejects copies requested earlier.
    pub fn invalidate(&self, name: &str) {
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        stripe.advance();
        self.entries.remove(name);
    }

    /// As [`Self::invalidate`], for all keys.
    pub fn invalidate_all(&self) {
        for group in &self.has_tagged {
            group.store(false, Ordering::SeqCst);
        }
        for stripe in &self.stripes {
            let _guard = stripe.lock();
            stripe.advance();
        }
        self.entries.clear();
    }

    /// Drops the copies that have this tag, and others with them: only that none has it is
    /// known. Every first entry of a tag changes it.
    fn tag_changed(&self, tag: &str) {
        self.tag_changes.fetch_add(1, Ordering::SeqCst);
        if self.has_tagged[slot(tag, TAG_GROUPS)].load(Ordering::SeqCst) {
            self.invalidate_all();
        }
    }

    /// The approximate number of copies.
    pub fn len(&self) -> u64 {
        self.entries.len()
    }

    fn stripe(&self, name: &str) -> &Stripe {
        &self.stripes[slot(name, STRIPES)]
    }
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Requires the lock.
    fn advance(&self) {
        self.epoch.store(self.epoch() + 1, Ordering::Release);
    }
}

impl InvalidationListener for Near {
    fn tracking_started(&self, prefixes: usize) {
        self.invalidate_all();
        // Under the lock of the list: `track` may just have added to it.
        let tracked = self.tracked.borrow();
        if tracked.len() == prefixes {
            self.tracking.store(ON, Ordering::Release);
        }
    }

    fn tracking_lost(&self) {
        let now = micros(self.started.elapsed()).max(ON + 1);
        // If tracking was lost before, keep that time.
        let _ = self.tracking.compare_exchange(ON, now, Ordering::AcqRel, Ordering::Acquire);
    }

    fn key_changed(&self, key: &str) {
        let Some(name) = key.strip_prefix(&self.prefix) else { return };
        match name.split_once(':') {
            Some((keys::TAG, _)) => self.invalidate_all(),
            Some((keys::TAGS, tag)) => self.tag_changed(tag),
            _ => self.invalidate(name),
        }
    }

    fn all_changed(&self) {
        self.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn copy(version: u64) -> CachedCopy<String> {
        CachedCopy { value: Some(Arc::new("x".to_owned())), version, ..CachedCopy::default() }
    }

    fn tracking() -> Near {
        let near = Near::new("p:", 1024 * 1024);
        near.tracking_started(0);
        near
    }

    fn get(near: &Near, name: &str) -> Option<u64> {
        near.get::<String>(name, false).map(|copy| copy.version)
    }

    #[test]
    fn a_copy_is_dropped_when_its_key_changes() {
        let near = tracking();
        near.insert("a", copy(1), TTL, near.epoch("a"));
        assert_eq!(get(&near, "a"), Some(1));
        near.key_changed("p:a");
        assert_eq!(get(&near, "a"), None);
    }

    #[test]
    fn a_fill_that_raced_an_invalidation_is_not_kept() {
        let near = tracking();
        let epoch = near.epoch("a");
        near.key_changed("p:a");
        near.insert("a", copy(1), TTL, epoch);
        assert_eq!(get(&near, "a"), None);
    }

    #[test]
    fn without_tracking_nothing_is_kept_or_served() {
        let near = Near::new("p:", 1024 * 1024);
        near.insert("a", copy(1), TTL, near.epoch("a"));
        assert_eq!(get(&near, "a"), None);
        near.tracking_started(0);
        near.insert("a", copy(1), TTL, near.epoch("a"));
        near.tracking_lost();
        assert_eq!(get(&near, "a"), None, "Redis is available and may have a newer value");
        let away = near.get::<String>("a", true).map(|copy| copy.source);
        assert_eq!(away, Some(Source::Stale));
        near.tracking_started(0);
        assert_eq!(get(&near, "a"), None, "invalidations in between were missed");
    }

    #[test]
    fn a_copy_ends_with_the_ttl_in_redis() {
        let near = tracking();
        let short = CachedCopy { left: Some(Duration::ZERO), ..copy(1) };
        near.insert("a", short, TTL, near.epoch("a"));
        assert_eq!(get(&near, "a"), None);
    }

    /// Several threads fill and invalidate as fast as they can: after an
    /// invalidation, no reader gets a value that was read before it.
    #[test]
    fn under_races_nothing_older_than_an_invalidation_is_read() {
        let near = Arc::new(tracking());
        let truth = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (near, truth) = (Arc::clone(&near), Arc::clone(&truth));
                std::thread::spawn(move || {
                    for _ in 0..20_000 {
                        let oldest = truth.load(Ordering::Acquire).saturating_sub(1);
                        if let Some(found) = get(&near, "a") {
                            assert!(found >= oldest, "{found} after {oldest} was invalidated");
                        }
                        let epoch = near.epoch("a");
                        let value = truth.load(Ordering::Acquire);
                        near.insert("a", copy(value), TTL, epoch);
                    }
                })
            })
            .collect();
        for _ in 0..20_000 {
            truth.fetch_add(1, Ordering::AcqRel);
            near.key_changed("p:a");
        }
        for reader in readers {
            reader.join().unwrap();
        }
    }
}
