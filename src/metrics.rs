//! What is counted, where it happens: the one source of the panels and of `/metrics`.

use std::{
    sync::{Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{clock::micros, model::Source};

/// As many kinds of keys are counted without hashing: more than there are.
const PREFIXES: usize = 8;

/// Counters of this process, from its start.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// Statements sent to the database, of whatever kind.
    pub database_queries: Counter,
    /// Visits that Redis counted.
    pub visits: Counter,
    lookups: Family<Lookups, Counter>,
    /// The same counters by their places, for the prefixes seen so far: a
    /// lookup is counted without hashing its labels.
    known: [OnceLock<(&'static str, [Counter; Source::ALL.len()])>; PREFIXES],
    bypasses: Family<Prefix, Counter>,
    origin_loads: Family<Prefix, Counter>,
    shed: Counter,
    write_behind_pending: Gauge,
    write_behind_aside: Gauge,
    breaker_state: Gauge,
    times: [Mutex<Histogram<u64>>; Source::ALL.len()],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lookups {
    prefix: &'static str,
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Prefix {
    prefix: &'static str,
}

/// Lookups of one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Answered from the cache.
    pub hits: u64,
    /// Asked of the cache, answered by the database.
    pub misses: u64,
    /// Answered by the database without asking the cache.
    pub bypasses: u64,
}

/// How long the lookups from one source took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How many there were.
    pub lookups: u64,
    /// Half of them took at most this many microseconds.
    pub p50_us: u64,
    /// 99 of 100 took at most this many microseconds.
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
            known: Default::default(),
            bypasses: Family::default(),
            origin_loads: Family::default(),
            shed: Counter::default(),
            write_behind_pending: Gauge::default(),
            write_behind_aside: Gauge::default(),
            breaker_state: Gauge::default(),
            times: Source::ALL.map(|_| Mutex::new(histogram())),
            registry: Registry::default(),
        };
        let queries = metrics.database_queries.clone();
        registry.register("database_queries", "Statements sent to the database", queries);
        registry.register("visits", "Visits that Redis counted", metrics.visits.clone());
        let lookups = metrics.lookups.clone();
        registry.register("lookups", "Lookups by key prefix and source of the answer", lookups);
        let bypasses = metrics.bypasses.clone();
        registry.register("bypasses", "Lookups told not to ask the cache", bypasses);
        let loads = metrics.origin_loads.clone();
        registry.register("origin_loads", "Values loaded from the database", loads);
        registry.register("origin_shed", "Loads turned away at a full queue", metrics.shed.clone());
        let pending = metrics.write_behind_pending.clone();
        let about = "Acknowledged writes that the database does not have yet";
        registry.register("write_behind_pending", about, pending);
        let aside = metrics.write_behind_aside.clone();
        let about = "Acknowledged writes that the database refused for good";
        registry.register("write_behind_aside", about, aside);
        let breaker = metrics.breaker_state.clone();
        let about = "Circuit breaker of Redis: 0 closed, 1 half-open, 2 open";
        registry.register("redis_breaker_state", about, breaker);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts one answered lookup.
    pub fn looked_up(&self, prefix: &'static str, source: Source, bypassed: bool, took: Duration) {
        self.count(prefix, source);
        if bypassed {
            self.bypasses.get_or_create(&Prefix { prefix }).inc();
        }
        self.times(source).saturating_record(micros(took));
    }

    fn count(&self, prefix: &'static str, source: Source) {
        let learnt = |known: &OnceLock<_>| known.get_or_init(|| self.counters(prefix)).0 == prefix;
        match self.known.iter().find(|known| learnt(known)).and_then(OnceLock::get) {
            Some((_, counters)) => counters[source as usize].inc(),
            None => self.lookups.get_or_create(&Lookups { prefix, source: source.name() }).inc(),
        };
    }

    fn counters(&self, prefix: &'static str) -> (&'static str, [Counter; Source::ALL.len()]) {
        let counter = |source: Source| {
            self.lookups.get_or_create(&Lookups { prefix, source: source.name() }).clone()
        };
        (prefix, Source::ALL.map(counter))
    }

    /// Counts one load from the origin, successful or not.
    pub fn loaded(&self, prefix: &'static str) {
        self.origin_loads.get_or_create(&Prefix { prefix }).inc();
    }

    /// Counts one load that was turned away.
    pub fn shed(&self) {
        self.shed.inc();
    }

    /// How things stand: acknowledged writes that wait, those that were set
    /// aside, and the breaker.
    pub fn stands(&self, pending: u64, aside: u64, breaker: i64) {
        self.write_behind_pending.set(pending.cast_signed());
        self.write_behind_aside.set(aside.cast_signed());
        self.breaker_state.set(breaker);
    }

    /// Hits and misses of one kind of key.
    pub fn tally(&self, prefix: &'static str) -> Tally {
        let from = |source: Source| {
            self.lookups.get_or_create(&Lookups { prefix, source: source.name() }).get()
        };
        let bypasses = self.bypasses.get_or_create(&Prefix { prefix }).get();
        Tally {
            hits: Source::ALL.into_iter().filter(|it| it.is_hit()).map(from).sum(),
            misses: from(Source::Database).saturating_sub(bypasses),
            bypasses,
        }
    }

    /// How long lookups from `source` took, since the start.
    pub fn times_of(&self, source: Source) -> Times {
        let times = self.times(source);
        Times {
            lookups: times.len(),
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
        }
    }

    /// Since when these numbers count.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes any text");
        text
    }

    fn times(&self, source: Source) -> MutexGuard<'_, Histogram<u64>> {
        self.times[source as usize].lock().expect("recording a number does not panic")
    }
}

/// 1 µs to 2 minutes with two significant digits, in some 30 KiB.
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
        metrics.looked_up("profile", Source::Cache, false, took);
        metrics.looked_up("profile", Source::Database, false, took);
        metrics.looked_up("profile", Source::Database, true, took);
        assert_eq!(metrics.tally("profile"), Tally { hits: 1, misses: 1, bypasses: 1 });
        assert_eq!(metrics.times_of(Source::Database).lookups, 2);
    }

    #[test]
    fn the_text_names_what_it_counts() {
        let metrics = Metrics::default();
        metrics.looked_up("profile", Source::Cache, false, Duration::ZERO);
        let line = "hitrate_lookups_total{prefix=\"profile\",source=\"cache\"} 1";
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}
