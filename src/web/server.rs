//! The HTTP server: start, service and shutdown.

use std::{io, sync::Arc, time::Duration};

use actix_web::{App as ActixApp, HttpServer, web::Data};
use hitrate_cache::{
    Cache,
    redis::{Address, BadAddress},
    trace::Trace,
    write_behind::{FlushPolicy, Flusher},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    config::{CLIENT_NAME, Config},
    demo::{
        db::{Db, DbError, import},
        policy::{Policy, UnknownPolicy},
        products::Products,
        profiles::{ProfileSink, Profiles},
    },
    failpoints,
    labs::{
        console::Console,
        patterns::{ActionResult, Trials},
        round_trips::RoundTrips,
        stampede::Stampedes,
        strategies::StrategySession,
        structures::PlaygroundResults,
        support::{result_store::ResultStore, run_lock::RunLock},
    },
    ops::{
        managed_redis::{ManagedRedis, ManagedRedisError},
        metrics::Metrics,
        sampler::Sampler,
    },
    web::{
        assets::{self, AssetError},
        known_ids::KnownIds,
        middleware::Middleware,
        routes::routes,
        state::{AppState, ConnectionLimit, LISTENERS_MAX, VIEWERS_MAX, WorkerState},
    },
};

/// Results of invalidations that are kept, of some kilobytes each.
const INVALIDATIONS_MAX: u64 = 256;
/// Number of ids suggested to a visitor.
const SUGGESTIONS_MAX: u32 = 24;
/// Time a client has to send the head of a request, which normally is one packet.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that requests in flight have to finish at shutdown, beyond the longest simulated
/// latency.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest simulated latency that a request can set with `delay_ms`.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Time that the managed Redis has to load its data before hitrate serves without it.
const MANAGED_TIMEOUT: Duration = Duration::from_secs(5);
/// Delays between the three attempts to connect at start; the tutorial's values.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// Timeout of one of these attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// Error that prevents the start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of Redis is invalid.
    #[error("REDIS_URL (or REDIS_HOST) is {0}")]
    Address(#[from] BadAddress),
    /// The static files can't be read.
    #[error(transparent)]
    Assets(#[from] AssetError),
    /// No policy has this name.
    #[error("HITRATE_POLICY: {0}")]
    Policy(#[from] UnknownPolicy),
    /// The managed Redis can't be started.
    #[error(transparent)]
    ManagedRedis(#[from] ManagedRedisError),
    /// The database can't be opened.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The profiles can't be imported.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// The address to listen on is in use or not local.
    #[error("HITRATE_BIND {0} can't be used: {1}")]
    Bind(std::net::SocketAddr, io::Error),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] io::Error),
}

/// Serves until Ctrl-C or SIGTERM. Requests in flight then finish, and the managed Redis
/// stops last.
pub async fn serve(config: Config) -> Result<(), StartError> {
    if let Some(name) = &config.failpoint {
        failpoints::enable(name);
    }
    let policy: Policy = config.policy.parse()?;
    assets::open(config.static_dir())?;
    let managed = match config.redis() {
        Some(_) => None,
        None => Some(ManagedRedis::start(&config.data_dir).await?),
    };
    let result = serve_on(&config, policy, managed.as_ref()).await;
    if let Some(managed) = managed {
        managed.stop().await;
    }
    result
}

async fn serve_on(
    config: &Config,
    policy: Policy,
    managed: Option<&ManagedRedis>,
) -> Result<(), StartError> {
    let (address, metrics) = (redis_address(config, managed)?, Arc::new(Metrics::default()));
    let bulk_db = Db::open_for_bulk(&config.database(), metrics.database_queries.clone()).await?;
    let imported = import::import(&bulk_db, config.profiles.as_deref()).await?;
    let known_ids = Arc::new(KnownIds::from(bulk_db.first_ids(SUGGESTIONS_MAX).await?));
    let db = Db::open(&config.database(), metrics.database_queries.clone()).await?;
    let db = Arc::new(db);
    let cache = config.cache(&address).shared_observer(metrics.clone()).build()?;
    let profiles = Profiles::new(&cache, &db);
    let profile_policy = policy.ttl(config.profile_ttl);
    profiles.invalidate_recent_edits(&bulk_db, &profile_policy).await?;
    // SIGTERM must be handled from here on: for PID 1 of a container, the kernel has no
    // default action.
    let mut shutdown = Box::pin(shutdown_signal()?);
    tokio::select! {
        () = await_redis(&cache, managed.is_some()) => (),
        () = &mut shutdown => return Ok(()),
    }
    track_changes(&cache, &db);
    let flusher = Flusher::start(&cache, ProfileSink(Arc::clone(&db)), flush_policy(config));
    let sampler = Arc::new(Sampler::start(&cache, Arc::clone(&metrics)).await);
    let run_lock = RunLock::default();
    let stampedes = Stampedes::new(&address, &config.key_prefix, &db, &run_lock);
    let console = config.has_console().then(|| Arc::new(Console::new(&address, managed.is_some())));
    let shared = AppState {
        config: Arc::new(config.clone()),
        db,
        metrics,
        cache: cache.clone(),
        policy,
        sampler,
        address: address.clone(),
        known_ids,
        viewers: ConnectionLimit::new(VIEWERS_MAX),
        listeners: ConnectionLimit::new(LISTENERS_MAX),
        stampedes,
        trials: Trials::new(&address, &config.key_prefix, &run_lock),
        pattern_results: ActionResult::store(),
        console,
        round_trips: RoundTrips::new(&address, &run_lock),
        strategy_sessions: StrategySession::store(),
        playground_results: PlaygroundResults::default(),
        invalidations: ResultStore::with_max_entries(INVALIDATIONS_MAX),
    };
    log::info!("Database: {} ({imported} profiles imported)", config.database());
    log::info!("Redis: {address}; connect with: {}", address.redis_cli());
    let result = run(shared, shutdown).await;
    flusher.stop().await;
    result
}

async fn run(
    shared: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let (bind, database_delay) = (shared.config.bind, shared.config.database_delay);
    let sampler = Arc::clone(&shared.sampler);
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(Data::new(WorkerState::connect(shared.clone())))
            .wrap(Middleware)
            .configure(routes)
    })
    // Nagle's algorithm would delay small responses on a kept-alive connection by up to
    // 40 ms, until the client's delayed ACK.
    .tcp_nodelay(true)
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout((database_delay.max(DELAY_MAX) + SHUTDOWN_TIMEOUT).as_secs())
    .disable_signals()
    .bind(bind)
    .map_err(|error| StartError::Bind(bind, error))?;
    for address in server.addrs() {
        log::info!("hitrate is at http://{address}");
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.await;
        log::info!("shutting down after the requests in flight have finished");
        // Live panels end with the samples.
        sampler.stop();
        handle.stop(true).await;
    });
    Ok(server.await?)
}

/// Completes on Ctrl-C or SIGTERM. Both are caught as soon as this function returns.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

fn flush_policy(config: &Config) -> FlushPolicy {
    FlushPolicy { size: config.flush_size as usize, interval: config.flush_interval }
}

fn redis_address(config: &Config, managed: Option<&ManagedRedis>) -> Result<Address, BadAddress> {
    let address = match (managed, config.redis()) {
        (None, Some(url)) => Address::parse(&url)?,
        (Some(managed), _) => managed.address(),
        (None, None) => unreachable!("Redis is either configured or managed"),
    };
    Ok(address.with_client_name(CLIENT_NAME))
}

/// Redis reports changes from the start, so that the first lookup with a near cache can
/// already keep its copy.
fn track_changes(cache: &Cache, db: &Arc<Db>) {
    let (profiles, products, trace) =
        (Profiles::new(cache, db), Products::new(cache, db), Trace::disabled());
    for policy in Policy::ALL.iter().filter(|policy| policy.cache.near.is_some()) {
        profiles.namespace(policy, &trace);
        products.namespace(policy, &trace);
    }
}

async fn await_redis(cache: &Cache, is_managed: bool) {
    match is_managed {
        true => await_managed(cache).await,
        false => await_configured(cache).await,
    }
}

async fn await_managed(cache: &Cache) {
    match cache.ready(MANAGED_TIMEOUT).await {
        Ok(()) => log::info!("Redis connected successfully"),
        Err(error) => log::warn!("starting without Redis: {error}"),
    }
}

/// Waits for Redis in three attempts. hitrate then serves without Redis and keeps trying
/// to connect.
async fn await_configured(cache: &Cache) {
    let mut delays = RETRY_DELAYS.iter();
    loop {
        let Err(error) = cache.ready(ATTEMPT_TIMEOUT).await else {
            return log::info!("Redis connected successfully");
        };
        let Some(delay) = delays.next() else {
            return log::warn!("starting without Redis: {error}");
        };
        log::warn!("{error}; retrying in {} s", delay.as_secs());
        sleep(*delay).await;
    }
}
