//! The numbers on the panels: a sample of Redis and of this process, taken in
//! the background about once a second, so that no request pays for it.

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

/// Everything the panels show, at one moment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Sample {
    /// What Redis says of itself.
    pub redis: RedisPanel,
    /// What hitrate counted itself.
    pub cache: CachePanel,
}

/// What Redis says of itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RedisPanel {
    /// Whether it works.
    pub state: RedisState,
    /// What is wrong, in words; null when nothing is.
    pub error: Option<String>,
    /// Milliseconds since the error began; null when there is none.
    pub trouble_ms: Option<u64>,
    /// Whether commands go out to Redis.
    #[schema(value_type = schemas::BreakerState)]
    pub breaker: BreakerState,
    /// Milliseconds since that last changed.
    pub breaker_ms: u64,
    /// Keys that Redis could not be told to invalidate yet; they are not cached.
    pub deferred_invalidations: u64,
    /// Null while Redis is away.
    pub server: Option<ServerPanel>,
    /// Keys under hitrate's own prefix, by SCAN; null until counted.
    pub keys: Option<u64>,
    /// How old that count is, in milliseconds.
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
    /// Nothing works.
    Down,
}

/// The part of INFO that is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServerPanel {
    /// `Redis` or `Valkey`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Bytes in use.
    pub used_memory_bytes: u64,
    /// Bytes allowed; 0 is unlimited.
    pub max_memory_bytes: u64,
    /// What happens when the allowed memory is used up.
    pub eviction_policy: String,
    /// Connections, ours included.
    pub connected_clients: u64,
    /// Commands since it started, by any client.
    pub commands_processed: u64,
    /// Reads that found their key, by any client.
    pub keyspace_hits: u64,
    /// Reads that did not, by any client.
    pub keyspace_misses: u64,
    /// `keyspace_hits` of all reads, 0 to 1; null before the first read.
    pub hit_ratio: Option<f64>,
    /// Keys removed to make room.
    pub evicted_keys: u64,
    /// Keys removed because their TTL ended.
    pub expired_keys: u64,
    /// Whether an append-only file is written: what survives a restart.
    pub append_only: bool,
}

/// What hitrate counted itself, since it started.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CachePanel {
    /// Lookups answered from the cache.
    pub hits: u64,
    /// Lookups that asked the cache in vain.
    pub misses: u64,
    /// Lookups told to leave the cache aside; in no ratio.
    pub bypasses: u64,
    /// Hits of all lookups that asked the cache, 0 to 1; null before the first.
    pub hit_ratio: Option<f64>,
    /// Statements sent to the database, of whatever kind.
    pub database_queries: u64,
    /// Queries that hits made unnecessary: one each.
    pub queries_avoided: u64,
    /// Visits counted by this process.
    pub visits: u64,
    /// Loads that wait for their turn at the database.
    pub origin_queue: u64,
    /// Acknowledged writes that the database does not have yet.
    pub write_behind_pending: u64,
    /// Acknowledged writes that the database refused for good.
    pub write_behind_dead_letters: u64,
    /// Why waiting writes don't get to the database; null while they do.
    pub write_behind_failure: Option<String>,
    /// Milliseconds since the first that did not; null while they do.
    pub write_behind_failure_ms: Option<u64>,
    /// Copies in this process.
    pub near_copies: u64,
    /// Whether Redis tells this process what changes, so that it may keep copies.
    pub near_tracking: bool,
    /// Seconds since hitrate started.
    pub uptime_s: u64,
    /// The same by the first word of the key.
    pub prefixes: Vec<PrefixPanel>,
    /// How long lookups took, by who answered.
    pub sources: Vec<SourcePanel>,
}

/// Lookups of one kind of key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PrefixPanel {
    /// The first word of the key.
    pub prefix: &'static str,
    /// Lookups answered from the cache.
    pub hits: u64,
    /// Lookups that asked the cache in vain.
    pub misses: u64,
    /// 0 to 1; null before the first lookup.
    pub hit_ratio: Option<f64>,
}

/// How long lookups took that one source answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourcePanel {
    /// Who answered.
    #[schema(value_type = schemas::Source)]
    pub source: Source,
    /// How many there were.
    pub lookups: u64,
    /// Half of them took at most this many microseconds; null without any.
    pub p50_us: Option<u64>,
    /// 99 of 100 took at most this many microseconds; null without any.
    pub p99_us: Option<u64>,
}

/// Takes samples until it is dropped.
pub struct Sampler {
    latest: watch::Receiver<Arc<Sample>>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// Starts sampling on the calling runtime, after a first sample.
    pub async fn start(cache: &Cache, metrics: Arc<Metrics>) -> Self {
        let cache = cache.clone();
        let mut keys = KeyCount::default();
        let first = sample(&cache, &metrics, &mut keys).await;
        let (sender, latest) = watch::channel(Arc::new(first));
        let task = tokio::spawn(async move {
            let mut clock = time::interval(PERIOD);
            clock.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                clock.tick().await;
                let next = sample(&cache, &metrics, &mut keys).await;
                sender.send_replace(Arc::new(next));
            }
        });
        Self { latest, task }
    }

    /// Follows the samples. The channel closes when sampling ends.
    pub fn follow(&self) -> watch::Receiver<Arc<Sample>> {
        self.latest.clone()
    }

    /// Ends sampling, and with it everything that follows.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The latest sample, for one thread: a copy of its own, so that those who show
/// it don't count their references in the same place.
pub struct Latest(RefCell<(watch::Receiver<Arc<Sample>>, Arc<Sample>)>);

impl Latest {
    /// Of what this sampler takes.
    pub fn of(sampler: &Sampler) -> Self {
        let mut samples = sampler.follow();
        let copy = Arc::new(Sample::clone(&samples.borrow_and_update()));
        Self(RefCell::new((samples, copy)))
    }

    /// The sample, at most a period old while samples are taken.
    pub fn get(&self) -> Arc<Sample> {
        let (samples, copy) = &mut *self.0.borrow_mut();
        // An error is the end of sampling: the last one may be new, or be known.
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
        // Nobody may come and write for a while: see for ourselves.
        let _ = counter::touch(store).await;
    }
    if info.is_ok() {
        // A cursor of one server means nothing to the next: begin again.
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

/// Sets the gauges of `/metrics`: the write-behind queue, as Redis counts it
/// now, deferred invalidations and the breaker. One round trip.
pub async fn set_gauges(cache: &Cache, metrics: &Metrics) {
    let Backlog { pending, dead_letters } = cache.count_backlog().await;
    let health = cache.store().health();
    metrics.set_gauges(&Gauges {
        pending,
        dead_letters,
        is_stuck: cache.engine().write_behind_failure().is_some(),
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
        trouble_ms: error.map(|(_, since)| millis(since)),
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
    let tallies = keys::CACHED.map(|it| (it.name(), metrics.hit_miss(it.name())));
    let sum = |part: fn(&HitMiss) -> u64| tallies.iter().map(|(_, counts)| part(counts)).sum();
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
        prefixes: tallies.iter().map(|(prefix, counts)| prefix_panel(prefix, counts)).collect(),
        sources: Source::ALL.iter().map(|source| source_panel(metrics, *source)).collect(),
    }
}

fn prefix_panel(prefix: &'static str, counts: &HitMiss) -> PrefixPanel {
    let HitMiss { hits, misses, .. } = *counts;
    PrefixPanel { prefix, hits, misses, hit_ratio: ratio(hits, misses) }
}

fn source_panel(metrics: &Metrics, source: Source) -> SourcePanel {
    let times = metrics.times_of(source);
    let any = times.lookups > 0;
    SourcePanel {
        source,
        lookups: times.lookups,
        p50_us: any.then_some(times.p50_us),
        p99_us: any.then_some(times.p99_us),
    }
}

/// Hits of all, 0 to 1; `None` of nothing.
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
            let (mut samples, latest) = (sampler.follow(), Latest::of(&sampler));
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
        let latest = Latest(RefCell::new((samples, first)));
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
    fn a_ratio_of_nothing_is_nothing() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(3, 1), Some(0.75));
    }
}
