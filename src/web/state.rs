//! State of the handlers. Each worker has a separate connection to Redis, which it drives
//! itself, and a copy of the latest sample.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hitrate_cache::{
    Cache,
    redis::{Address, Client},
};

use crate::{
    config::Config,
    demo::{db::Db, invalidation::Dropped, policy::Policy, products::Products, profiles::Profiles},
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
        sampler::{LatestSample, Sampler},
    },
    web::known_ids::KnownIds,
};

/// State shared by all web workers. Each worker derives its [`WorkerState`] from it.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub config: Arc<Config>,
    /// The database.
    pub db: Arc<Db>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The cache.
    pub cache: Cache,
    /// Policy of profiles and products, unless a request names another.
    pub policy: Policy,
    /// Takes the samples for the panels.
    pub sampler: Arc<Sampler>,
    /// Address of Redis.
    pub address: Address,
    /// Profile ids to suggest to a visitor.
    pub known_ids: Arc<KnownIds>,
    /// Limits the live panels.
    pub viewers: ConnectionLimit,
    /// Limits the live subscriptions to a channel.
    pub listeners: ConnectionLimit,
    /// Stampede runs, and the one in progress.
    pub stampedes: Stampedes,
    /// Trials of patterns; one runs at a time.
    pub trials: Trials,
    /// Results of actions on `/patterns`.
    pub pattern_results: ResultStore<RunToken, ActionResult>,
    /// The console; `None` if it is disabled.
    pub console: Option<Arc<Console>>,
    /// Round-trip measurements.
    pub round_trips: RoundTrips,
    /// Sessions of visitors on `/strategies`.
    pub strategy_sessions: ResultStore<RunToken, StrategySession>,
    /// Results of actions on `/structures`.
    pub playground_results: PlaygroundResults,
    /// Results of invalidations on `/invalidation`.
    pub invalidations: ResultStore<RunToken, Dropped>,
}

/// State of one worker: the shared state and a connection to Redis.
pub struct WorkerState {
    /// The shared state.
    pub shared: AppState,
    /// The worker's connection to Redis.
    pub store: Client,
    /// The cache on that connection.
    pub cache: Cache,
    /// The profiles in that cache.
    pub profiles: Profiles,
    /// The products in that cache.
    pub products: Products,
    /// The latest sample, for the panels.
    pub latest: LatestSample,
}

impl WorkerState {
    /// Connects to Redis on the calling runtime, which must be the worker's.
    pub fn connect(shared: AppState) -> Self {
        let cache = shared.cache.with_own_connection();
        let store = cache.client().clone();
        let profiles = Profiles::new(&cache, &shared.db);
        let products = Products::new(&cache, &shared.db);
        let latest = LatestSample::new(&shared.sampler);
        Self { shared, store, cache, profiles, products, latest }
    }
}

/// Maximum number of live panels; each holds an HTTP connection.
pub const VIEWERS_MAX: usize = 200;
/// Maximum number of live subscriptions; each also holds a connection to Redis.
pub const LISTENERS_MAX: usize = 50;

/// Limits the number of concurrent live connections.
#[derive(Clone)]
pub struct ConnectionLimit {
    count: Arc<AtomicUsize>,
    max: usize,
}

/// A permit of a [`ConnectionLimit`], released on drop.
pub struct ConnectionPermit(Arc<AtomicUsize>);

impl ConnectionLimit {
    /// Allows up to `max` connections.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// Acquires a permit; `None` if the limit is reached.
    pub fn try_acquire(&self) -> Option<ConnectionPermit> {
        let increment = |count| (count < self.max).then_some(count + 1);
        let acquired = self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, increment);
        acquired.is_ok().then(|| ConnectionPermit(Arc::clone(&self.count)))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
