//! Samples of Redis and of this process for the panels. A background task takes one per
//! second, so that requests need not.

use std::{cell::RefCell, sync::Arc, time::Duration};

use hitrate_cache::{
    Cache, Source,
    redis::{BreakerState, HealthStatus, KeyCount, ServerInfo, Store},
    time::millis,
    write_behind::Backlog,
};
use serde::Serialize;
use tokio::{sync::watch, task::JoinHandle, time};
use utoipa::ToSchema;

use crate::{
    demo::{counter, keys},
    ops::metrics::{Gauges, HitMiss, Metrics},
    schemas,
};

/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// All numbers on the panels, at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Sample {
    /// State of Redis, as the server reports it.
    pub redis: RedisPanel,
    /// Counters of hitrate.
    pub cache: CachePanel,
}

/// State of Redis, as the server reports it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RedisPanel {
    /// Whether Redis works.
    pub state: RedisState,
    /// Description of the current error, or null.
    pub error: Option<String>,
    /// Milliseconds since the error began, or null.
    pub error_ms: Option<u64>,
    /// State of the circuit breaker.
    #[schema(value_type = schemas::BreakerState)]
    pub breaker: BreakerState,
    /// Milliseconds since the breaker's last change.
    pub breaker_ms: u64,
    /// Keys with a deferred invalidation; they are not cached meanwhile.
    pub deferred_invalidations: u64,
    /// Null while Redis is unreachable.
    pub server: Option<ServerPanel>,
    /// Number of keys with hitrate's prefix, counted by SCAN; null until the first count.
    pub keys: Option<u64>,
    /// Age of that count, in milliseconds.
    pub keys_age_ms: Option<u64>,
}

/// Whether Redis works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RedisState {
    /// Reads and writes work.
    Up,
    /// Reads work, writes are refused.
    RefusingWrites,
    /// Neither works.
    Down,
}

/// Selected fields of INFO.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServerPanel {
    /// `Redis` or `Valkey`.
    pub name: &'static str,
    /// Version of the server.
    pub version: String,
    /// Seconds since the server started.
    pub uptime_s: u64,
    /// Memory in use, in bytes.
    pub used_memory_bytes: u64,
    /// `maxmemory` in bytes; 0 means no limit.
    pub max_memory_bytes: u64,
    /// `maxmemory-policy`.
    pub eviction_policy: String,
    /// Client connections, including those of hitrate.
    pub connected_clients: u64,
    /// Commands of all clients since the server started.
    pub commands_processed: u64,
    /// Key reads of all clients that found the key.
    pub keyspace_hits: u64,
    /// Key reads of all clients that did not.
    pub keyspace_misses: u64,
    /// `keyspace_hits` divided by all key reads, 0 to 1; null before the first read.
    pub hit_ratio: Option<f64>,
    /// Keys evicted to free memory.
    pub evicted_keys: u64,
    /// Keys removed because their TTL expired.
    pub expired_keys: u64,
    /// Whether the append-only file is enabled, so that data survives a restart.
    pub append_only: bool,
}

/// Counters of hitrate since its start.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CachePanel {
    /// Lookups answered from the cache.
    pub hits: u64,
    /// Lookups that missed the cache.
    pub misses: u64,
    /// Lookups that bypassed the cache; not part of any ratio.
    pub bypasses: u64,
    /// Hits divided by hits and misses, 0 to 1; null before the first lookup.
    pub hit_ratio: Option<f64>,
    /// SQL statements sent to the database.
    pub database_queries: u64,
    /// Database queries saved: one per hit.
    pub queries_avoided: u64,
    /// Visits counted by this process.
    pub visits: u64,
    /// Loads queued for the database.
    pub origin_queue: u64,
    /// Acknowledged writes that are not in the database yet.
    pub write_behind_pending: u64,
    /// Acknowledged writes that the database rejected permanently.
    pub write_behind_dead_letters: u64,
    /// Description of the write-behind error, or null.
    pub write_behind_failure: Option<String>,
    /// Milliseconds since the write-behind error began, or null.
    pub write_behind_failure_ms: Option<u64>,
    /// Near-cache entries in this process.
    pub near_copies: u64,
    /// Whether Redis notifies this process of changes (client-side caching). Without
    /// notifications the near cache is not used.
    pub near_tracking: bool,
    /// Seconds since hitrate started.
    pub uptime_s: u64,
    /// Lookups by key prefix.
    pub prefixes: Vec<PrefixPanel>,
    /// Latency of lookups by source.
    pub sources: Vec<SourcePanel>,
}

/// Lookups of one key prefix.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PrefixPanel {
    /// Key prefix: the key up to its first colon.
    pub prefix: &'static str,
    /// Lookups answered from the cache.
    pub hits: u64,
    /// Lookups that missed the cache.
    pub misses: u64,
    /// Hits divided by hits and misses, 0 to 1; null before the first lookup.
    pub hit_ratio: Option<f64>,
}

/// Latency of the lookups answered by one source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourcePanel {
    /// Source of the answer.
    #[schema(value_type = schemas::Source)]
    pub source: Source,
    /// Number of lookups.
    pub lookups: u64,
    /// Median in microseconds; null before the first lookup.
    pub p50_us: Option<u64>,
    /// 99th percentile in microseconds; null before the first lookup.
    pub p99_us: Option<u64>,
}

/// Takes samples until it is dropped.
pub struct Sampler {
    latest: watch::Receiver<Arc<Sample>>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// Takes a first sample, then starts sampling on the calling runtime.
    pub async fn start(cache: &Cache, metrics: Arc<Metrics>) -> Self {
        let cache = cache.clone();
        let mut keys = KeyCount::default();
        let first = sample(&cache, &metrics, &mut keys).await;
        let (sender, latest) = watch::channel(Arc::new(first));
        let task = tokio::spawn(async move {
            let mut interval = time::interval(PERIOD);
            interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                let next = sample(&cache, &metrics, &mut keys).await;
                sender.send_replace(Arc::new(next));
            }
        });
        Self { latest, task }
    }

    /// Follows the samples. The channel closes when sampling stops.
    pub fn follow(&self) -> watch::Receiver<Arc<Sample>> {
        self.latest.clone()
    }

    /// Stops sampling, and closes the channels of all followers.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The latest sample, cloned for one thread, so that threads do not contend for the
/// reference count of a shared one.
pub struct LatestSample(RefCell<(watch::Receiver<Arc<Sample>>, Arc<Sample>)>);

impl LatestSample {
    /// Follows this sampler.
    pub fn new(sampler: &Sampler) -> Self {
        let mut samples = sampler.follow();
        let copy = Arc::new(Sample::clone(&samples.borrow_and_update()));
        Self(RefCell::new((samples, copy)))
    }

    /// The sample, at most one period old while sampling runs.
    pub fn get(&self) -> Arc<Sample> {
        let (samples, copy) = &mut *self.0.borrow_mut();
        // An error means that sampling has stopped; the last sample may still be unseen.
        if samples.has_changed().unwrap_or(true) {
            let latest = samples.borrow_and_update();
            if latest.has_changed() {
                *copy = Arc::new(Sample::clone(&latest));
            }
        }
        Arc::clone(copy)
    }
}

async fn sample(cache: &Cache, metrics: &Metrics, keys: &mut KeyCount) -> Sample {
    let store = cache.store();
    let info = store.info().await;
    if matches!(store.status(), HealthStatus::Refusing(..)) {
        // There may be no other write for a while that would detect the recovery.
        let _ = counter::touch(store).await;
    }
    if info.is_ok() {
        // A SCAN cursor is not valid on another server: start over.
        let counted = store.count_keys(keys).await;
        if counted.is_err() {
            keys.restart();
        }
    } else {
        keys.restart();
    }
    set_gauges(cache, metrics).await;
    Sample { redis: redis_panel(store, info.ok(), keys), cache: cache_panel(cache, metrics) }
}

/// Updates the gauges of `/metrics`: write-behind backlog, deferred invalidations and
/// circuit breaker. Takes one round trip.
pub async fn set_gauges(cache: &Cache, metrics: &Metrics) {
    let Backlog { pending, dead_letters } = cache.count_backlog().await;
    let health = cache.store().health();
    metrics.set_gauges(&Gauges {
        pending,
        dead_letters,
        is_write_behind_failing: cache.engine().write_behind_failure().is_some(),
        deferred: health.deferred() as u64,
        breaker: health.breaker().0 as i64,
    });
}

fn redis_panel(store: &Store, info: Option<ServerInfo>, keys: &KeyCount) -> RedisPanel {
    let (state, error) = match store.status() {
        HealthStatus::Up => (RedisState::Up, None),
        HealthStatus::Refusing(error, since) => (RedisState::RefusingWrites, Some((error, since))),
        HealthStatus::Down(error, since) => (RedisState::Down, Some((error, since))),
    };
    let (breaker, since) = store.health().breaker();
    let counted = info.as_ref().and_then(|_| keys.last());
    RedisPanel {
        state,
        error: error.as_ref().map(|(error, _)| error.to_string()),
        error_ms: error.map(|(_, since)| millis(since)),
        breaker,
        breaker_ms: millis(since),
        deferred_invalidations: store.health().deferred() as u64,
        server: info.map(ServerPanel::from),
        keys: counted.map(|(count, _)| count),
        keys_age_ms: counted.map(|(_, age)| millis(age)),
    }
}

impl From<ServerInfo> for ServerPanel {
    fn from(info: ServerInfo) -> Self {
        Self {
            name: info.server,
            version: info.version,
            uptime_s: info.uptime.as_secs(),
            used_memory_bytes: info.used_memory,
            max_memory_bytes: info.max_memory,
            eviction_policy: info.eviction_policy,
            connected_clients: info.connected_clients,
            commands_processed: info.commands_processed,
            keyspace_hits: info.keyspace_hits,
            keyspace_misses: info.keyspace_misses,
            hit_ratio: ratio(info.keyspace_hits, info.keyspace_misses),
            evicted_keys: info.evicted_keys,
            expired_keys: info.expired_keys,
            append_only: info.append_only,
        }
    }
}

fn cache_panel(cache: &Cache, metrics: &Metrics) -> CachePanel {
    let engine = cache.engine();
    let (near_copies, near_tracking) = engine.near();
    let Backlog { pending, dead_letters } = engine.backlog();
    let error = engine.write_behind_failure();
    let counts = keys::CACHED.map(|it| (it.name(), metrics.hit_miss(it.name())));
    let sum = |field: fn(&HitMiss) -> u64| counts.iter().map(|(_, it)| field(it)).sum();
    let (hits, misses) = (sum(|counts| counts.hits), sum(|counts| counts.misses));
    CachePanel {
        hits,
        misses,
        bypasses: sum(|counts| counts.bypasses),
        hit_ratio: ratio(hits, misses),
        database_queries: metrics.database_queries.get(),
        queries_avoided: hits,
        visits: metrics.visits(),
        origin_queue: engine.queued().0 as u64,
        write_behind_pending: pending,
        write_behind_dead_letters: dead_letters,
        write_behind_failure: error.as_ref().map(|(error, _)| error.clone()),
        write_behind_failure_ms: error.map(|(_, since)| millis(since)),
        near_copies,
        near_tracking,
        uptime_s: metrics.uptime().as_secs(),
        prefixes: counts.iter().map(|(prefix, counts)| prefix_panel(prefix, counts)).collect(),
        sources: Source::ALL.iter().map(|source| source_panel(metrics, *source)).collect(),
    }
}

fn prefix_panel(prefix: &'static str, counts: &HitMiss) -> PrefixPanel {
    let HitMiss { hits, misses, .. } = *counts;
    PrefixPanel { prefix, hits, misses, hit_ratio: ratio(hits, misses) }
}

fn source_panel(metrics: &Metrics, source: Source) -> SourcePanel {
    let latency = metrics.latency_of(source);
    let any = latency.lookups > 0;
    SourcePanel {
        source,
        lookups: latency.lookups,
        p50_us: any.then_some(latency.p50_us),
        p99_us: any.then_some(latency.p99_us),
    }
}

/// Hits divided by hits and misses, 0 to 1; `None` without lookups.
fn ratio(hits: u64, misses: u64) -> Option<f64> {
    let all = hits + misses;
    (all > 0).then(|| hits as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use hitrate_cache::{
        Engine,
        redis::{Address, Health},
    };

    use super::*;

    /// Of a Redis that is not there.
    async fn sampler() -> Sampler {
        let address = Address::parse("redis://127.0.0.1:1").unwrap();
        let store = Store::open(&address, "", &Arc::new(Health::default()));
        let engine = Arc::new(Engine::new("", &keys::CACHED, Arc::new(())));
        Sampler::start(&Cache::new(store, engine), Arc::new(Metrics::default())).await
    }

    #[tokio::test]
    async fn sampling_ends_when_it_is_told_to_and_when_its_owner_is_dropped() {
        for is_dropped in [true, false] {
            let sampler = sampler().await;
            let (mut samples, latest) = (sampler.follow(), LatestSample::new(&sampler));
            match is_dropped {
                true => drop(sampler),
                false => sampler.stop(),
            }
            let ended = async { while samples.changed().await.is_ok() {} };
            time::timeout(PERIOD * 5, ended).await.expect("the channel closes");
            assert_eq!(latest.get().cache.hits, 0, "the last sample stays");
        }
    }

    #[tokio::test]
    async fn the_last_sample_is_seen_after_the_end_and_copied_once() {
        let first = sampler().await.follow().borrow().clone();
        let (sender, samples) = watch::channel(Arc::clone(&first));
        let latest = LatestSample(RefCell::new((samples, first)));
        let before = latest.get();
        let mut last = Sample::clone(&before);
        last.cache.hits = 7;
        sender.send_replace(Arc::new(last));
        drop(sender);
        let seen = latest.get();
        assert_eq!((before.cache.hits, seen.cache.hits), (0, 7));
        assert!(Arc::ptr_eq(&seen, &latest.get()), "nothing new, so nothing is copied");
    }

    #[test]
    fn there_is_no_ratio_without_lookups() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(3, 1), Some(0.75));
    }
}
