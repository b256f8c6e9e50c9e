//! What every page can reach. Memory that another processor has just written is
//! slow to read, with or without a lock, so each worker has a connection, handles
//! and a copy of the latest sample of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hitrate_cache::{
    Cache, CachePolicy, Engine,
    redis::{Address, Health, Store},
};

use crate::{
    config::Config,
    demo::{db::Db, invalidation::Dropped, model::UserId},
    labs::{
        console::Console,
        patterns::{ActionResult, Trials},
        round_trips::RoundTrips,
        stampede::Stampedes,
        strategies::StrategySession,
        structures::PlaygroundResults,
        support::result_store::{ResultStore, RunToken},
    },
    ops::{
        metrics::Metrics,
        stats::{Latest, Sampler},
    },
};

/// What all web workers share. Each makes its own [`WorkerState`] of it.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub config: Arc<Config>,
    /// The database.
    pub db: Arc<Db>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What all workers know of the cache together.
    pub engine: Arc<Engine>,
    /// How profiles and products are cached, unless a request says otherwise.
    pub policy: CachePolicy,
    /// The numbers on the panels.
    pub sampler: Arc<Sampler>,
    /// Where Redis is.
    pub address: Address,
    /// How Redis is doing.
    pub health: Arc<Health>,
    /// Ids to suggest to a visitor.
    pub known_ids: Arc<Vec<UserId>>,
    /// Visitors who watch the panels live.
    pub viewers: ConnectionLimit,
    /// Visitors who listen to a channel.
    pub listeners: ConnectionLimit,
    /// The stampedes that are kept, and the one that runs.
    pub stampedes: Stampedes,
    /// The trials of patterns, of which one runs at a time.
    pub trials: Trials,
    /// What visitors did at patterns.
    pub plays: ResultStore<RunToken, ActionResult>,
    /// Where visitors type commands; none where that is off.
    pub console: Option<Arc<Console>>,
    /// Measurements of round trips.
    pub round_trips: RoundTrips,
    /// What visitors tried on `/strategies`.
    pub visits: ResultStore<RunToken, StrategySession>,
    /// What visitors did on `/structures`.
    pub outcomes: PlaygroundResults,
    /// What visitors dropped on `/invalidation`.
    pub invalidations: ResultStore<RunToken, Dropped>,
}

/// What the pages of one worker reach: the shared things, and a connection of
/// its own to Redis.
pub struct WorkerState {
    /// What all workers share.
    pub shared: AppState,
    /// The worker's own door to Redis.
    pub store: Store,
    /// The cache behind that door.
    pub cache: Cache,
    /// The numbers on the panels, as this worker shows them.
    pub latest: Latest,
}

impl AppState {
    /// The same, with copies of what each request holds on to: a count of
    /// references that all workers changed would be slow for each of them.
    fn on_this_worker(self) -> Self {
        let db = Arc::new(Db::clone(&self.db));
        let known_ids = Arc::new(self.known_ids.to_vec());
        Self { db, known_ids, ..self }
    }
}

impl WorkerState {
    /// Call it on the worker's own runtime: the connection lives there.
    pub fn on_this_worker(shared: AppState) -> Self {
        let shared = shared.on_this_worker();
        let store = Store::open(&shared.address, &shared.config.key_prefix, &shared.health);
        let cache = Cache::new(store.clone(), Arc::clone(&shared.engine));
        let latest = Latest::of(&shared.sampler);
        Self { shared, store, cache, latest }
    }
}

/// The most visitors who watch the panels at once; each costs a connection.
pub const VIEWERS_MAX: usize = 200;
/// The most who listen to a channel at once; each costs a connection to Redis, too.
pub const LISTENERS_MAX: usize = 50;

/// Counts those who watch something live.
#[derive(Clone)]
pub struct ConnectionLimit {
    count: Arc<AtomicUsize>,
    max: usize,
}

/// One who watches, until dropped.
pub struct ConnectionPermit(Arc<AtomicUsize>);

impl ConnectionLimit {
    /// So many at once.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// A place, if one is left.
    pub fn try_acquire(&self) -> Option<ConnectionPermit> {
        let more = |count| (count < self.max).then_some(count + 1);
        let entered = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        entered.is_ok().then(|| ConnectionPermit(Arc::clone(&self.count)))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
