//! The near cache: copies in this process, so that a hit asks nobody at all.
//!
//! Redis pushes the name of each key that changes ([`crate::redis::track`]),
//! and the copy is dropped. A fill may race such a push: its value was read
//! before the change and arrives after the push. So each stripe of keys counts
//! its invalidations, and a copy is kept only if the count is still what it
//! was before the value was asked for. Count and map change under one lock, so
//! there is no moment in between. Before asking, the count is read without it:
//! an old one refuses the copy, and a new one was read before the question left.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    Source,
    local::{cached_copy::CachedCopy, entries::LocalEntries, slots::slot},
    redis::InvalidationListener,
    time::micros,
};

/// Locks and counts: so many that two busy keys seldom share one.
const STRIPES: usize = 256;
/// How long copies are served after Redis went away: about as long as it takes
/// to come back after a restart. Other processes can't tell us of edits meanwhile.
pub const MAX_OUTAGE: Duration = Duration::from_secs(5);

/// Values of [`Near::tracking`] below the microsecond at which it was lost.
const OFF: u64 = 0;
const ON: u64 = 1;

/// The copies of this process.
pub struct Near {
    entries: LocalEntries,
    stripes: Vec<Stripe>,
    started: Instant,
    /// Whether Redis tells us of changes: [`OFF`], [`ON`], or since when it
    /// does not any more, in microseconds from `started`.
    tracking: AtomicU64,
    prefix: String,
}

/// Some of the keys.
#[derive(Default)]
struct Stripe {
    /// How often one of them was invalidated. Changed under the lock only, and
    /// read without: those who ask at once would wait for each other.
    epoch: AtomicU64,
    /// Held while the count or a copy changes.
    mutex: Mutex<()>,
}

/// The count of a key's stripe before its value was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Epoch(u64);

impl Near {
    /// Empty, and not used before [`Invalidations::began`]. `prefix` is what
    /// Redis puts before our names.
    pub fn new(prefix: &str) -> Self {
        Self {
            entries: LocalEntries::default(),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            started: Instant::now(),
            tracking: AtomicU64::new(OFF),
            prefix: prefix.to_owned(),
        }
    }

    /// The copy of `name`, if there is a usable one. While Redis is away it is
    /// marked stale: nobody could tell us of a change.
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

    /// How long the copy of `name` is still kept.
    pub fn left(&self, name: &str) -> Duration {
        self.entries.left(name)
    }

    /// Whether Redis tells us of changes, so that copies are kept.
    pub fn is_tracking(&self) -> bool {
        self.tracking.load(Ordering::Acquire) == ON
    }

    /// Take this before asking for a value that [`Self::keep`] shall keep.
    pub fn epoch(&self, name: &str) -> Epoch {
        Epoch(self.stripe(name).epoch())
    }

    /// Keeps a value for at most `ttl`, unless something about
    /// it changed since `epoch`.
    pub fn insert<T: Send + Sync + 'static>(
        &self,
        name: &str,
        copy: CachedCopy<T>,
        ttl: Duration,
        epoch: Epoch,
    ) {
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        if stripe.epoch() != epoch.0 || !self.is_tracking() {
            return;
        }
        let time = copy.left.map_or(ttl, |left| left.min(ttl));
        self.entries.insert(name, copy, time);
    }

    /// Does something with a value unless something about it changed since `epoch`.
    pub fn if_unchanged(&self, name: &str, epoch: Epoch, action: impl FnOnce()) {
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        if stripe.epoch() == epoch.0 {
            action();
        }
    }

    /// Drops the copy of `name`, and keeps none that was asked for before.
    pub fn invalidate(&self, name: &str) {
        let stripe = self.stripe(name);
        let _guard = stripe.lock();
        stripe.advance();
        self.entries.remove(name);
    }

    /// The same for all.
    pub fn invalidate_all(&self) {
        for stripe in &self.stripes {
            let _guard = stripe.lock();
            stripe.advance();
        }
        self.entries.clear();
    }

    /// About how many copies there are.
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

    /// Only while it is held.
    fn advance(&self) {
        self.epoch.store(self.epoch() + 1, Ordering::Release);
    }
}

impl InvalidationListener for Near {
    fn tracking_started(&self) {
        self.invalidate_all();
        self.tracking.store(ON, Ordering::Release);
    }

    fn tracking_lost(&self) {
        let now = micros(self.started.elapsed()).max(ON + 1);
        // What was lost before stays lost since then.
        let _ = self.tracking.compare_exchange(ON, now, Ordering::AcqRel, Ordering::Acquire);
    }

    fn key_changed(&self, key: &str) {
        let Some(name) = key.strip_prefix(&self.prefix) else { return };
        match name.starts_with("tag:") {
            true => self.invalidate_all(),
            false => self.invalidate(name),
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
        let near = Near::new("p:");
        near.tracking_started();
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
        let near = Near::new("p:");
        near.insert("a", copy(1), TTL, near.epoch("a"));
        assert_eq!(get(&near, "a"), None);
        near.tracking_started();
        near.insert("a", copy(1), TTL, near.epoch("a"));
        near.tracking_lost();
        assert_eq!(get(&near, "a"), None, "Redis is there and may know better");
        let away = near.get::<String>("a", true).map(|copy| copy.source);
        assert_eq!(away, Some(Source::Stale));
        near.tracking_started();
        assert_eq!(get(&near, "a"), None, "what was told meanwhile was not heard");
    }

    #[test]
    fn a_copy_ends_with_the_ttl_in_redis() {
        let near = tracking();
        let short = CachedCopy { left: Some(Duration::ZERO), ..copy(1) };
        near.insert("a", short, TTL, near.epoch("a"));
        assert_eq!(get(&near, "a"), None);
    }

    /// Threads that fill and invalidate as fast as they can, and no sleep: after
    /// an invalidation nobody reads what was read from the source before it.
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
                            assert!(found >= oldest, "{found} after {oldest} was announced");
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
