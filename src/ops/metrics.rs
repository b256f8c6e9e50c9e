//! What is counted, where it happens: the one source of the panels and of `/metrics`.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use hitrate_cache::{Observer, Source, time::micros};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::failpoints::{self, Failpoint};

/// Threads that count at places of their own: more than a machine mostly has.
/// A place takes some 120 KiB, for its histograms, from its first count on.
const SHARDS: usize = 32;

/// Counters of this process, from its start.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// Statements sent to the database, of whatever kind.
    pub database_queries: Counter,
    /// What each request counts.
    shards: [OnceLock<Box<Shard>>; SHARDS],
    /// The sums of it, as of the last text.
    visits: Counter,
    lookups: Family<Lookups, Counter>,
    bypasses: Family<Prefix, Counter>,
    origin_loads: Family<Prefix, Counter>,
    shed: Counter,
    rejected_entries: Family<Prefix, Counter>,
    write_behind_pending: Gauge,
    write_behind_dead_letters: Gauge,
    write_behind_failing: Gauge,
    deferred_invalidations: Gauge,
    breaker_state: Gauge,
    settling: Mutex<()>,
}

/// What one thread counts, or a few. Threads that count at one place wait for
/// each other, if only for the memory; so two of these share no line of it.
#[repr(align(128))]
struct Shard(Mutex<Counts>);

struct Counts {
    visits: u64,
    /// By prefix and source: there are but a few prefixes.
    lookups: Vec<(&'static str, [u64; Source::ALL.len()])>,
    times: [Histogram<u64>; Source::ALL.len()],
}

impl Default for Shard {
    fn default() -> Self {
        let times = Source::ALL.map(|_| histogram());
        Self(Mutex::new(Counts { visits: 0, lookups: Vec::new(), times }))
    }
}

impl Shard {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("counting does not panic")
    }
}

impl Counts {
    fn looked_up(&mut self, prefix: &'static str, source: Source, took: Duration) {
        let place = self.lookups.iter().position(|(known, _)| *known == prefix);
        let place = place.unwrap_or_else(|| {
            self.lookups.push((prefix, Default::default()));
            self.lookups.len() - 1
        });
        self.lookups[place].1[source as usize] += 1;
        self.times[source as usize].saturating_record(micros(took));
    }

    fn lookups(&self, prefix: &str, source: Source) -> u64 {
        let of_prefix = self.lookups.iter().filter(|(known, _)| *known == prefix);
        of_prefix.map(|(_, counts)| counts[source as usize]).sum()
    }
}

/// The number of this thread's shard.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    PLACE.with(|place| *place)
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

/// Values of the gauges at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauges {
    /// Acknowledged writes that the database does not have yet.
    pub pending: u64,
    /// Acknowledged writes that the database refused for good.
    pub dead_letters: u64,
    /// Whether something keeps waiting writes from the database.
    pub is_stuck: bool,
    /// Keys that wait for a deferred invalidation.
    pub deferred: u64,
    /// The breaker: 0 closed, 1 half-open, 2 open.
    pub breaker: i64,
}

/// Lookups of one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HitMiss {
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
            shards: Default::default(),
            bypasses: Family::default(),
            origin_loads: Family::default(),
            shed: Counter::default(),
            rejected_entries: Family::default(),
            write_behind_pending: Gauge::default(),
            write_behind_dead_letters: Gauge::default(),
            write_behind_failing: Gauge::default(),
            deferred_invalidations: Gauge::default(),
            breaker_state: Gauge::default(),
            settling: Mutex::default(),
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
        let rejected = metrics.rejected_entries.clone();
        let about = "Values not cached, as their entry is larger than HITRATE_MAX_ENTRY_BYTES";
        registry.register("rejected_entries", about, rejected);
        let pending = metrics.write_behind_pending.clone();
        let about = "Acknowledged writes that the database does not have yet";
        registry.register("write_behind_pending", about, pending);
        let dead_letters = metrics.write_behind_dead_letters.clone();
        let about = "Acknowledged writes that the database refused for good";
        registry.register("write_behind_dead_letters", about, dead_letters);
        let failing = metrics.write_behind_failing.clone();
        let about = "Whether acknowledged writes fail to get to the database: 1, else 0";
        registry.register("write_behind_failing", about, failing);
        let deferred = metrics.deferred_invalidations.clone();
        let about = "Keys that Redis could not be told to invalidate yet; they are not cached";
        registry.register("deferred_invalidations", about, deferred);
        let breaker = metrics.breaker_state.clone();
        let about = "Circuit breaker of Redis: 0 closed, 1 half-open, 2 open";
        registry.register("redis_breaker_state", about, breaker);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts one visit that Redis counted.
    pub fn visited(&self) {
        self.shard().counts().visits += 1;
    }

    /// The visits that Redis counted.
    pub fn visits(&self) -> u64 {
        self.sum(|counts| counts.visits)
    }

    fn shard(&self) -> &Shard {
        self.shards[place()].get_or_init(Box::default)
    }

    fn sum(&self, part: impl Fn(&Counts) -> u64) -> u64 {
        self.used().map(|shard| part(&shard.counts())).sum()
    }

    fn used(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(OnceLock::get).map(AsRef::as_ref)
    }

    /// The values that were too large to be cached.
    pub fn rejected_entries(&self, prefix: &'static str) -> u64 {
        self.rejected_entries.get_or_create(&Prefix { prefix }).get()
    }

    /// Sets the gauges.
    pub fn set_gauges(&self, gauges: &Gauges) {
        self.write_behind_pending.set(gauges.pending.cast_signed());
        self.write_behind_dead_letters.set(gauges.dead_letters.cast_signed());
        self.write_behind_failing.set(gauges.is_stuck.into());
        self.deferred_invalidations.set(gauges.deferred.cast_signed());
        self.breaker_state.set(gauges.breaker);
    }

    /// Hits and misses of one kind of key.
    pub fn hit_miss(&self, prefix: &'static str) -> HitMiss {
        let from = |source: Source| {
            // What is asked for is in the text, too, be it zero.
            drop(self.lookups.get_or_create(&Lookups { prefix, source: source.name() }));
            self.sum(|counts| counts.lookups(prefix, source))
        };
        let bypasses = self.bypasses.get_or_create(&Prefix { prefix }).get();
        HitMiss {
            hits: Source::ALL.into_iter().filter(|it| it.is_hit()).map(from).sum(),
            misses: from(Source::Database).saturating_sub(bypasses),
            bypasses,
        }
    }

    /// How long lookups from `source` took, since the start.
    pub fn times_of(&self, source: Source) -> Times {
        let mut times = histogram();
        for shard in self.used() {
            let of_shard = &shard.counts().times[source as usize];
            times.add(of_shard).expect("all of them have the same bounds");
        }
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
        self.sync_counters();
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes any text");
        text
    }

    /// Brings the sums up to date. They only grow.
    fn sync_counters(&self) {
        let _alone = self.settling.lock().expect("adding up does not panic");
        let grown = |sum: &Counter, to: u64| sum.inc_by(to - sum.get());
        grown(&self.visits, self.visits());
        for prefix in self.prefixes() {
            for source in Source::ALL {
                let labels = Lookups { prefix, source: source.name() };
                let looked_up = self.sum(|counts| counts.lookups(prefix, source));
                grown(&self.lookups.get_or_create(&labels), looked_up);
            }
        }
    }

    fn prefixes(&self) -> BTreeSet<&'static str> {
        let mut all = BTreeSet::new();
        for shard in self.used() {
            all.extend(shard.counts().lookups.iter().map(|(prefix, _)| *prefix));
        }
        all
    }
}

/// What the cache tells is counted here.
impl Observer for Metrics {
    fn looked_up(&self, prefix: &'static str, source: Source, bypassed: bool, took: Duration) {
        self.shard().counts().looked_up(prefix, source, took);
        if bypassed {
            self.bypasses.get_or_create(&Prefix { prefix }).inc();
        }
    }

    fn loaded(&self, prefix: &'static str) {
        self.origin_loads.get_or_create(&Prefix { prefix }).inc();
    }

    fn load_rejected(&self) {
        self.shed.inc();
    }

    fn entry_rejected(&self, prefix: &'static str) {
        self.rejected_entries.get_or_create(&Prefix { prefix }).inc();
    }

    fn failpoint(&self, failpoint: hitrate_cache::Failpoint) -> bool {
        failpoints::is_active(Failpoint::Cache(failpoint))
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
        assert_eq!(metrics.hit_miss("profile"), HitMiss { hits: 1, misses: 1, bypasses: 1 });
        assert_eq!(metrics.times_of(Source::Database).lookups, 2);
    }

    #[test]
    fn what_threads_count_is_one_sum() {
        let metrics = Metrics::default();
        let count = || {
            for n in 0..1_000 {
                metrics.looked_up("profile", Source::Cache, false, Duration::from_micros(n));
                metrics.visited();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(count);
            }
        });
        let all = 2_000 * SHARDS as u64;
        assert_eq!((metrics.visits(), metrics.hit_miss("profile").hits), (all, all));
        let times = metrics.times_of(Source::Cache);
        assert!(times.lookups == all && (495..510).contains(&times.p50_us), "{times:?}");
        for _ in 0..2 {
            assert!(metrics.text().contains(&format!("hitrate_visits_total {all}\n")));
        }
    }

    #[test]
    fn the_text_names_what_it_counts() {
        let metrics = Metrics::default();
        metrics.looked_up("profile", Source::Cache, false, Duration::ZERO);
        let line = "hitrate_lookups_total{prefix=\"profile\",source=\"cache\"} 1";
        assert!(metrics.text().contains(line), "{}", metrics.text());
    }
}
