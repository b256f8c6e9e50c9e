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
    Cache, CachePolicy, Cached, Committed, Engine, FetchError, Key, Lookup, Namespace, Observer,
    Origin, OriginError, Versioned, Writable, WriteOrder, Written,
    redis::{Address, Health, Store},
    test_util::TestRedis,
    trace::Trace,
    write_behind::{ApplyResult, FlushPolicy, QueuedWrite, Sink},
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

pub const PROFILE: Namespace = Namespace::new("profile");

impl Cached for Profile {
    fn key(&self) -> Key<Self> {
        key(&self.user_id)
    }
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

impl OriginError for RowError {
    fn is_value_error(&self) -> bool {
        self.is_value_error
    }
}

impl World {
    pub fn new() -> Self {
        Self::on(TestRedis::start().unwrap())
    }

    pub fn on(redis: TestRedis) -> Self {
        Self { redis, origin: Arc::default() }
    }

    /// A cache with its own engine and connection, like another process.
    pub async fn cache(&self) -> Cache {
        self.cache_at(&self.redis.url()).await
    }

    /// As [`Self::cache`], connected to this address.
    pub async fn cache_at(&self, url: &str) -> Cache {
        let address = Address::parse(url).unwrap();
        let store = Store::open(&address, PREFIX, &Arc::new(Health::default()));
        store.ready(Duration::from_secs(5)).await.unwrap();
        Cache::new(store, Arc::new(Engine::new(PREFIX, &[PROFILE], Arc::new(()))))
    }

    /// As [`Self::cache`], with a size limit for entries, and a count of those
    /// above it.
    pub async fn cache_for(&self, max_entry_bytes: usize) -> (Cache, Arc<RejectedEntries>) {
        let (cache, rejected) = (self.cache().await, Arc::new(RejectedEntries::default()));
        let engine = Engine::new(PREFIX, &[PROFILE], Arc::clone(&rejected) as _);
        let engine = Arc::new(engine.with_max_entry_bytes(max_entry_bytes));
        (Cache::new(cache.store().clone(), engine), rejected)
    }

    /// As [`Self::cache`], with a working near cache.
    pub async fn tracking(&self) -> Cache {
        let cache = self.cache().await;
        cache.engine().track(&Address::parse(&self.redis.url()).unwrap(), PREFIX);
        within(Duration::from_secs(3), || cache.engine().near().1).await;
        cache
    }

    pub fn row(&self, id: &str) -> Row {
        Row { rows: Arc::clone(&self.origin), id: id.to_owned() }
    }

    pub async fn fetch(
        &self,
        cache: &Cache,
        id: &str,
        policy: &CachePolicy,
    ) -> Result<Lookup<Profile>, FetchError> {
        cache.fetch(&key(id), policy, &Trace::disabled(), self.row(id)).await
    }

    pub async fn write(&self, cache: &Cache, id: &str, age: u32, policy: &CachePolicy) -> Written {
        cache.write(profile(id, age), policy, &Trace::disabled(), self.row(id)).await.unwrap()
    }
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

/// One row as an origin.
#[derive(Clone)]
pub struct Row {
    rows: Arc<Rows>,
    id: String,
}

impl Origin<Profile> for Row {
    type Error = RowError;

    async fn load(&self) -> Result<Option<Versioned<Profile>>, RowError> {
        self.rows.loads.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(self.rows.delay_ms.load(Ordering::SeqCst))).await;
        assert!(!self.rows.panics.load(Ordering::SeqCst), "this origin panics on purpose");
        if self.rows.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let row = self.rows.rows.lock().unwrap().get(&self.id).map(|(row, _)| row.clone());
        sleep(Duration::from_millis(self.rows.lag_ms.load(Ordering::SeqCst))).await;
        Ok(row)
    }
}

impl Writable<Profile> for Row {
    async fn write(
        &self,
        value: &Profile,
        order: WriteOrder,
    ) -> Result<Option<Committed>, RowError> {
        if self.rows.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let mut rows = self.rows.rows.lock().unwrap();
        let Some((row, stamp)) = rows.get_mut(&self.id) else { return Ok(None) };
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

    async fn apply(&self, writes: &[QueuedWrite]) -> Result<Vec<ApplyResult>, RowError> {
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(RowError { is_value_error: false });
        }
        let rejected_text = self.0.rejects.lock().unwrap().clone();
        let is_rejected = |write: &QueuedWrite| {
            rejected_text.as_ref().is_some_and(|it| write.key == *it || write.value.contains(it))
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
    let value: Profile = serde_json::from_str(&write.value).unwrap();
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
    Key::of(PROFILE, id)
}

pub fn profile(id: &str, age: u32) -> Profile {
    let (name, email) = ("Ann".to_owned(), "ann@example.com".to_owned());
    Profile { user_id: id.to_owned(), name, email, age }
}

/// The default policy with a TTL of one minute, and a hard timeout of three
/// seconds.
pub fn default() -> CachePolicy {
    CachePolicy {
        hard_timeout: Duration::from_secs(3),
        ..CachePolicy::DEFAULT.ttl(Duration::from_secs(60))
    }
}

pub fn named(name: &str) -> CachePolicy {
    let isolated = CachePolicy::ISOLATED.into_iter().find(|policy| policy.name == name);
    let policy = CachePolicy::named(name).or(isolated).unwrap();
    CachePolicy { hard_timeout: Duration::from_secs(3), ..policy.ttl(Duration::from_secs(60)) }
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
