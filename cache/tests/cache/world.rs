//! A Redis, an in-memory origin, and caches on them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hitrate_cache::{
    Cache, CacheBuilder, CachePolicy, Error, Loader, Lookup, Namespace, Observer, OnWrite, Origin,
    Protection, Refresh, Versioned, Written,
    redis::Key,
    test_util::TestRedis,
    write_behind::{
        ApplyResult, Committed, FlushPolicy, OrderedOrigin, QueuedWrite, Sink, WriteOrder,
    },
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::timing::BUSY;

pub const FLUSH_POLICY: FlushPolicy =
    FlushPolicy { size: 100, interval: Duration::from_millis(30) };
pub const PREFIX: &str = "test:";

/// The cached type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub user_id: String,
    pub name: String,
    pub email: String,
    pub age: u32,
}

/// Counts entries above the size limit.
#[derive(Default)]
pub struct RejectedEntries(AtomicU64);

impl RejectedEntries {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Observer for RejectedEntries {
    fn entry_rejected(&self, namespace: &'static str) {
        assert_eq!(namespace, "profile");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One Redis and one origin.
pub struct World {
    pub redis: TestRedis,
    pub origin: Arc<Rows>,
}

/// The rows of a database, and its current behaviour.
#[derive(Default)]
pub struct Rows {
    rows: Mutex<HashMap<String, (Versioned<Profile>, u64)>>,
    pub loads: AtomicU64,
    pub delay_ms: AtomicU64,
    /// Delay after the row was read: it may be outdated when it arrives.
    pub lag_ms: AtomicU64,
    pub fails: AtomicBool,
    pub panics: AtomicBool,
    pub rejects: Mutex<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the rows are unavailable")]
pub struct RowError {
    is_value_error: bool,
}

impl World {
    pub fn new() -> Self {
        Self::on(TestRedis::start().unwrap())
    }

    pub fn on(redis: TestRedis) -> Self {
        Self { redis, origin: Arc::default() }
    }

    /// A cache of its own, like another process.
    pub async fn cache(&self) -> Cache {
        self.cache_at(&self.redis.url()).await
    }

    /// As [`Self::cache`], connected to this address.
    pub async fn cache_at(&self, url: &str) -> Cache {
        connected(Cache::builder(url)).await
    }

    /// As [`Self::cache`], with a size limit for entries, and a count of those
    /// above it.
    pub async fn cache_for(&self, max_entry_bytes: usize) -> (Cache, Arc<RejectedEntries>) {
        let rejected = Arc::new(RejectedEntries::default());
        let builder = Cache::builder(&self.redis.url()).max_entry_bytes(max_entry_bytes);
        (connected(builder.shared_observer(Arc::clone(&rejected) as _)).await, rejected)
    }

    /// As [`Self::cache`], with a working near cache.
    pub async fn tracking(&self) -> Cache {
        let cache = self.cache().await;
        profiles(&cache, &named("near-cache"));
        within(Duration::from_secs(3), || cache.health().is_tracking).await;
        cache
    }

    pub fn loader(&self, cache: &Cache, policy: &CachePolicy) -> ProfileLoader {
        profiles(cache, policy).loader(RowOrigin(Arc::clone(&self.origin)))
    }

    pub async fn fetch(
        &self,
        cache: &Cache,
        id: &str,
        policy: &CachePolicy,
    ) -> Result<Lookup<Profile>, Error> {
        self.loader(cache, policy).lookup(id.to_owned()).await
    }

    pub async fn write(
        &self,
        cache: &Cache,
        id: &str,
        age: u32,
        policy: &CachePolicy,
    ) -> Written<Profile> {
        self.loader(cache, policy).write(id.to_owned(), profile(id, age)).await.unwrap()
    }
}

/// The profiles of a cache, with the rows as their origin.
pub type ProfileLoader = Loader<String, Profile, RowOrigin>;

pub fn profiles(cache: &Cache, policy: &CachePolicy) -> Namespace<Profile> {
    cache.namespace("profile", *policy)
}

async fn connected(builder: CacheBuilder) -> Cache {
    let cache = builder.prefix(PREFIX).build().unwrap();
    cache.ready(Duration::from_secs(5)).await.unwrap();
    cache
}

impl Rows {
    /// Inserts a row without invalidating any cache.
    pub fn put(&self, id: &str, age: u32) {
        let row = Versioned { value: profile(id, age), version: 1 };
        self.rows.lock().unwrap().insert(id.to_owned(), (row, 0));
    }

    /// Sets the row's name to this many bytes.
    pub fn grow(&self, id: &str, bytes: usize) {
        self.rows.lock().unwrap().get_mut(id).unwrap().0.value.name = "n".repeat(bytes);
    }

    pub fn age(&self, id: &str) -> u32 {
        self.rows.lock().unwrap()[id].0.value.age
    }

    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    pub fn slow(&self, ms: u64) {
        self.delay_ms.store(ms, Ordering::SeqCst);
    }
}

/// The rows as an origin.
pub struct RowOrigin(pub Arc<Rows>);

impl Origin<String, Profile> for RowOrigin {
    type Loaded = Option<Versioned<Profile>>;
    type Error = RowError;

    async fn load(&self, id: String) -> Result<Option<Versioned<Profile>>, RowError> {
        let rows = &self.0;
        rows.loads.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(rows.delay_ms.load(Ordering::SeqCst))).await;
        assert!(!rows.panics.load(Ordering::SeqCst), "this origin panics on purpose");
        if rows.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let row = rows.rows.lock().unwrap().get(&id).map(|(row, _)| row.clone());
        sleep(Duration::from_millis(rows.lag_ms.load(Ordering::SeqCst))).await;
        Ok(row)
    }
}

impl OrderedOrigin<String, Profile> for RowOrigin {
    async fn write(
        &self,
        id: String,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, RowError> {
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let mut rows = self.0.rows.lock().unwrap();
        let Some((row, stamp)) = rows.get_mut(&id) else { return Ok(None) };
        row.value = value.clone();
        row.version = row.version.max(order.floor) + 1;
        *stamp = order.stamp.max(*stamp + 1);
        Ok(Some(Committed { version: row.version, stamp: *stamp }))
    }
}

/// Write-behind's sink.
pub struct RowSink(pub Arc<Rows>);

impl Sink for RowSink {
    type Error = RowError;

    fn is_value_error(&self, error: &RowError) -> bool {
        error.is_value_error
    }

    async fn apply(&self, writes: &[QueuedWrite]) -> Result<Vec<ApplyResult>, RowError> {
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let rejected_text = self.0.rejects.lock().unwrap().clone();
        let is_rejected = |write: &QueuedWrite| {
            rejected_text.as_ref().is_some_and(|it| {
                write.key == *it || String::from_utf8_lossy(&write.value).contains(it)
            })
        };
        if writes.iter().any(is_rejected) {
            return Err(RowError { is_value_error: true });
        }
        let mut rows = self.0.rows.lock().unwrap();
        Ok(writes.iter().map(|write| apply(&mut rows, write)).collect())
    }
}

fn apply(
    rows: &mut HashMap<String, (Versioned<Profile>, u64)>,
    write: &QueuedWrite,
) -> ApplyResult {
    let value: Profile = serde_json::from_slice(&write.value).unwrap();
    let Some((row, stamp)) = rows.get_mut(&value.user_id) else {
        return ApplyResult::Rejected("there is no such row");
    };
    if *stamp > write.stamp {
        return ApplyResult::Superseded(row.version);
    }
    if *stamp < write.stamp {
        row.version = if row.version < write.version { write.version } else { row.version + 1 };
        (row.value, *stamp) = (value, write.stamp);
    }
    ApplyResult::Applied(row.version)
}

pub fn key(id: &str) -> Key<Profile> {
    Key::of("profile", id)
}

pub fn profile(id: &str, age: u32) -> Profile {
    let (name, email) = ("Ann".to_owned(), "ann@example.com".to_owned());
    Profile { user_id: id.to_owned(), name, email, age }
}

/// The default policy with a TTL of exactly one minute, and a hard timeout of three
/// seconds.
pub fn default() -> CachePolicy {
    let policy = CachePolicy::ttl(Duration::from_secs(60)).jitter(0.0);
    policy.hard_timeout(Duration::from_secs(3))
}

/// A policy without any protection but the deadline and versions.
fn unprotected() -> CachePolicy {
    let policy = default().grace(Duration::ZERO).soft_timeout(None).lease(None);
    policy.refresh(Refresh::Off).without(Protection::SingleFlight)
}

pub fn named(name: &str) -> CachePolicy {
    match name {
        "read-through" => default(),
        "cache-aside" => unprotected().without(Protection::Versions),
        "single-flight" => {
            let policy = default().grace(Duration::ZERO).soft_timeout(None);
            policy.lease(None).refresh(Refresh::Off)
        }
        "lease" => unprotected().lease(Some(Duration::from_secs(1))),
        "near-cache" => default().near(Duration::from_secs(30)),
        "write-through" => default().on_write(OnWrite::Store),
        "write-around" => default().on_write(OnWrite::Drop),
        "write-behind" => default().on_write(OnWrite::Queue),
        "refresh-ahead" => default().refresh(Refresh::Ahead(0.2)),
        _ => panic!("no policy {name}"),
    }
}

pub fn age(lookup: &Lookup<Profile>) -> u32 {
    lookup.value.as_ref().unwrap().age
}

/// Time limit for steps that are immediate, except on a busy machine.
pub const SOON: Duration = Duration::from_secs(3);

/// Waits until something holds that should within `limit`.
pub async fn within(limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + limit * BUSY;
    while !holds() {
        assert!(std::time::Instant::now() < end, "not within {BUSY} × {limit:?}");
        sleep(Duration::from_millis(10)).await;
    }
}
