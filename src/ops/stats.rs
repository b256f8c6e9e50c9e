//! The panels: numbers of Redis and of this process at one moment. [`crate::ops::sampler`]
//! takes them.

use hitrate_cache::{
    Cache, Health, Source,
    redis::{BreakerState, KeyCount, RedisStatus, ServerInfo},
    time::millis,
    write_behind::Backlog,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    demo::keys,
    ops::metrics::{HitMiss, Metrics},
    schemas,
};

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

impl Sample {
    /// Builds a sample. `info` is what Redis reports; `None` while it is unavailable.
    pub fn new(
        cache: &Cache,
        metrics: &Metrics,
        info: Option<ServerInfo>,
        keys: &KeyCount,
    ) -> Self {
        let redis = redis_panel(&cache.health(), info, keys);
        Self { redis, cache: cache_panel(cache, metrics) }
    }
}

fn redis_panel(health: &Health, info: Option<ServerInfo>, keys: &KeyCount) -> RedisPanel {
    let (state, error) = match health.redis.clone() {
        RedisStatus::Up => (RedisState::Up, None),
        RedisStatus::Refusing(error, since) => (RedisState::RefusingWrites, Some((error, since))),
        RedisStatus::Down(error, since) => (RedisState::Down, Some((error, since))),
        _ => (RedisState::Up, None),
    };
    let counted = info.as_ref().and_then(|_| keys.last());
    RedisPanel {
        state,
        error: error.as_ref().map(|(error, _)| error.to_string()),
        error_ms: error.map(|(_, since)| millis(since)),
        breaker: health.breaker,
        breaker_ms: millis(health.breaker_since),
        deferred_invalidations: health.deferred_invalidations as u64,
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
    let health = cache.health();
    let Backlog { pending, dead_letters } = cache.backlog();
    let error = cache.write_behind_failure();
    let counts = keys::CACHED.map(|prefix| (prefix, metrics.hit_miss(prefix)));
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
        origin_queue: health.queued_loads as u64,
        write_behind_pending: pending,
        write_behind_dead_letters: dead_letters,
        write_behind_failure: error.as_ref().map(|(error, _)| error.clone()),
        write_behind_failure_ms: error.map(|(_, since)| millis(since)),
        near_copies: health.near_entries,
        near_tracking: health.is_tracking,
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
    use super::*;

    #[test]
    fn there_is_no_ratio_without_lookups() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(3, 1), Some(0.75));
    }
}
