//! Metrics of this process: the only source of the panels and of `/metrics`.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{Cache, LookedUp, Observer, Source, time::micros, write_behind::Backlog};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::failpoints::{self, AppFailpoint};

/// Counters, gauges and histograms since the start of the process.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// SQL statements sent to the database.
    pub database_queries: Counter,
    visits: Counter,
    lookups: Family<LookupLabels, Counter>,
    /// Durations of lookups, in microseconds, by source.
    latencies: Mutex<[Histogram<u64>; Source::ALL.len()]>,
    bypasses: Family<PrefixLabels, Counter>,
    origin_loads: Family<PrefixLabels, Counter>,
    rejected_loads: Counter,
    rejected_entries: Family<PrefixLabels, Counter>,
    replaced_entries: Family<PrefixLabels, Counter>,
    write_behind_pending: Gauge,
    write_behind_dead_letters: Gauge,
    write_behind_failing: Gauge,
    deferred_invalidations: Gauge,
    breaker_state: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    prefix: &'static str,
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PrefixLabels {
    prefix: &'static str,
}

/// Values of the gauges.
#[derive(Debug, Clone, Copy, Default)]
struct Gauges {
    /// Acknowledged writes that are not in the database yet.
    pub pending: u64,
    /// Acknowledged writes that the database rejected permanently.
    pub dead_letters: u64,
    /// Whether write-behind is failing.
    pub is_write_behind_failing: bool,
    /// Keys with a deferred invalidation.
    pub deferred: u64,
    /// Circuit breaker: 0 closed, 1 half-open, 2 open.
    pub breaker: i64,
}

/// Lookups of one key prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HitMiss {
    /// Lookups answered from the cache.
    pub hits: u64,
    /// Lookups that missed the cache.
    pub misses: u64,
    /// Lookups that bypassed the cache.
    pub bypasses: u64,
}

/// Latency of the lookups answered by one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Number of lookups.
    pub lookups: u64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("hitrate");
        let metrics = Self {
            started: Instant::now(),
            database_queries: Counter::default(),
            visits: Counter::default(),
            lookups: Family::default(),
            latencies: Mutex::new(Source::ALL.map(|_| histogram())),
            bypasses: Family::default(),
            origin_loads: Family::default(),
            rejected_loads: Counter::default(),
            rejected_entries: Family::default(),
            replaced_entries: Family::default(),
            write_behind_pending: Gauge::default(),
            write_behind_dead_letters: Gauge::default(),
            write_behind_failing: Gauge::default(),
            deferred_invalidations: Gauge::default(),
            breaker_state: Gauge::default(),
            registry: Registry::default(),
        };
        let queries = metrics.database_queries.clone();
        registry.register("database_queries", "SQL statements sent to the database", queries);
        registry.register("visits", "Visits counted in Redis", metrics.visits.clone());
        let lookups = metrics.lookups.clone();
        registry.register("lookups", "Lookups by key prefix and source", lookups);
        let bypasses = metrics.bypasses.clone();
        registry.register("bypasses", "Lookups that bypassed the cache", bypasses);
        let loads = metrics.origin_loads.clone();
        registry.register("origin_loads", "Values loaded from the database", loads);
        let rejected = metrics.rejected_loads.clone();
        registry.register("origin_rejected", "Loads rejected because the queue was full", rejected);
        let rejected = metrics.rejected_entries.clone();
        let about = "Values not cached because their entry exceeds HITRATE_MAX_ENTRY_BYTES";
        registry.register("rejected_entries", about, rejected);
        let replaced = metrics.replaced_entries.clone();
        let about = "Values in Redis that the cache had not written, and replaced";
        registry.register("replaced_entries", about, replaced);
        let pending = metrics.write_behind_pending.clone();
        let about = "Acknowledged writes that are not in the database yet";
        registry.register("write_behind_pending", about, pending);
        let dead_letters = metrics.write_behind_dead_letters.clone();
        let about = "Acknowledged writes that the database rejected permanently";
        registry.register("write_behind_dead_letters", about, dead_letters);
        let failing = metrics.write_behind_failing.clone();
        let about = "Whether write-behind is failing: 1 if it is, else 0";
        registry.register("write_behind_failing", about, failing);
        let deferred = metrics.deferred_invalidations.clone();
        let about = "Keys with a deferred invalidation; they are not cached meanwhile";
        registry.register("deferred_invalidations", about, deferred);
        let breaker = metrics.breaker_state.clone();
        let about = "State of the Redis circuit breaker: 0 closed, 1 half-open, 2 open";
        registry.register("redis_breaker_state", about, breaker);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a visit that was counted in Redis.
    pub fn visited(&self) {
        self.visits.inc();
    }

    /// Number of visits counted in Redis by this process.
    pub fn visits(&self) -> u64 {
        self.visits.get()
    }

    fn latencies(&self) -> MutexGuard<'_, [Histogram<u64>; Source::ALL.len()]> {
        self.latencies.lock().expect("recording a latency does not panic")
    }

    /// Counts a lookup of `prefix`, answered from `source`.
    fn count_lookup(&self, prefix: &'static str, source: Source, bypassed: bool, took: Duration) {
        self.lookups.get_or_create(&LookupLabels { prefix, source: source.name() }).inc();
        self.latencies()[source as usize].saturating_record(micros(took));
        if bypassed {
            self.bypasses.get_or_create(&PrefixLabels { prefix }).inc();
        }
    }

    /// Number of values that were too large to be cached.
    pub fn rejected_entries(&self, prefix: &'static str) -> u64 {
        self.rejected_entries.get_or_create(&PrefixLabels { prefix }).get()
    }

    /// Updates the gauges: write-behind backlog, deferred invalidations and circuit breaker.
    /// Takes one round trip.
    pub async fn update_gauges(&self, cache: &Cache) {
        let Backlog { pending, dead_letters } = cache.count_backlog().await;
        let health = cache.health();
        self.set_gauges(&Gauges {
            pending,
            dead_letters,
            is_write_behind_failing: cache.write_behind_failure().is_some(),
            deferred: health.deferred_invalidations as u64,
            breaker: health.breaker as i64,
        });
    }

    /// Sets the gauges.
    fn set_gauges(&self, gauges: &Gauges) {
        self.write_behind_pending.set(gauges.pending.cast_signed());
        self.write_behind_dead_letters.set(gauges.dead_letters.cast_signed());
        self.write_behind_failing.set(gauges.is_write_behind_failing.into());
        self.deferred_invalidations.set(gauges.deferred.cast_signed());
        self.breaker_state.set(gauges.breaker);
    }

    /// Hits, misses and bypasses of one key prefix.
    pub fn hit_miss(&self, prefix: &'static str) -> HitMiss {
        // Creates the time series, so that `/metrics` shows it even if it is zero.
        let from = |source: Source| {
            self.lookups.get_or_create(&LookupLabels { prefix, source: source.name() }).get()
        };
        let bypasses = self.bypasses.get_or_create(&PrefixLabels { prefix }).get();
        HitMiss {
            hits: Source::ALL.into_iter().filter(|it| it.is_hit()).map(from).sum(),
            misses: from(Source::Database).saturating_sub(bypasses),
            bypasses,
        }
    }

    /// Latency of the lookups answered by `source`, since the start.
    pub fn latency_of(&self, source: Source) -> Latency {
        let latencies = &self.latencies()[source as usize];
        Latency {
            lookups: latencies.len(),
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
        }
    }

    /// Time since the counters started at zero.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String never fails");
        text
    }
}

/// Counts the events of the cache.
impl Observer for Metrics {
    fn looked_up(&self, event: &LookedUp<'_>) {
        self.count_lookup(event.namespace, event.source, event.is_bypassed, event.elapsed);
    }

    fn load_started(&self, prefix: &'static str) {
        self.origin_loads.get_or_create(&PrefixLabels { prefix }).inc();
    }

    fn load_rejected(&self, _: &'static str) {
        self.rejected_loads.inc();
    }

    fn entry_rejected(&self, prefix: &'static str) {
        self.rejected_entries.get_or_create(&PrefixLabels { prefix }).inc();
    }

    fn entry_replaced(&self, prefix: &'static str, _: &'static str) {
        self.replaced_entries.get_or_create(&PrefixLabels { prefix }).inc();
    }

    fn failpoint(&self, failpoint: hitrate_cache::Failpoint) -> bool {
        failpoints::is_active(AppFailpoint::Cache(failpoint))
    }
}

/// A histogram of 1 µs to 2 minutes with two significant digits; about 30 KiB.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000, 2).expect("the bounds are constants that fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bypass_is_neither_hit_nor_miss() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(2);
        metrics.count_lookup("profile", Source::Cache, false, took);
        metrics.count_lookup("profile", Source::Database, false, took);
        metrics.count_lookup("profile", Source::Database, true, took);
        assert_eq!(metrics.hit_miss("profile"), HitMiss { hits: 1, misses: 1, bypasses: 1 });
        assert_eq!(metrics.latency_of(Source::Database).lookups, 2);
    }

    #[test]
    fn all_threads_are_counted() {
        let metrics = Metrics::default();
        let count = || {
            for n in 0..1_000 {
                metrics.count_lookup("profile", Source::Cache, false, Duration::from_micros(n));
                metrics.visited();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(count);
            }
        });
        let all = 4_000;
        assert_eq!((metrics.visits(), metrics.hit_miss("profile").hits), (all, all));
        let latency = metrics.latency_of(Source::Cache);
        assert!(latency.lookups == all && (495..510).contains(&latency.p50_us), "{latency:?}");
        assert!(metrics.text().contains(&format!("hitrate_visits_total {all}\n")));
    }

    #[test]
    fn the_text_contains_names_and_labels() {
        let metrics = Metrics::default();
        metrics.count_lookup("profile", Source::Cache, false, Duration::ZERO);
        let line = "hitrate_lookups_total{prefix=\"profile\",source=\"cache\"} 1";
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}
