//! The running server: how it starts, serves and ends.

use std::{io, sync::Arc, time::Duration};

use actix_web::{App as ActixApp, HttpServer, web::Data};
use hitrate_cache::{
    Cache, CachePolicy, Engine, UnknownPolicy,
    redis::{Address, BadAddress, Health, Store},
    write_behind::{FlushPolicy, Flusher},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    config::Config,
    demo::{
        db::{self, Db, import},
        keys,
        profiles::{self, Behind},
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
        stats::Sampler,
    },
    web::{
        assets::{self, AssetError},
        middleware::Guard,
        routes::routes,
        state::{AppState, ConnectionLimit, LISTENERS_MAX, VIEWERS_MAX, WorkerState},
    },
};

/// The most results of invalidations that are kept: some kilobytes each.
const INVALIDATIONS_MAX: u64 = 256;
/// How many ids are suggested to a visitor.
const SUGGESTIONS: u32 = 24;
/// How long request heads may take: real ones come in one piece.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long requests in flight may take to finish when the server stops,
/// beyond the longest simulated latency.
const STOP: Duration = Duration::from_secs(3);
/// The longest simulated latency a visitor can ask for.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// How long an own Redis may take to load its data before the start goes on without it.
const MANAGED_TIMEOUT: Duration = Duration::from_secs(5);
/// The documents' retries: three attempts, one and then three seconds apart.
const RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long one of those attempts may take.
const ATTEMPT: Duration = Duration::from_millis(500);

/// Why hitrate does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of Redis can't be understood.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The static files can't be read.
    #[error(transparent)]
    Assets(#[from] AssetError),
    /// No policy has this name.
    #[error("HITRATE_POLICY: {0}")]
    CachePolicy(#[from] UnknownPolicy),
    /// The own Redis can't be had.
    #[error(transparent)]
    Own(#[from] ManagedRedisError),
    /// The database can't be opened.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The profiles can't be imported.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// The address to listen on is taken, or not ours.
    #[error("HITRATE_BIND {0} can't be used: {1}")]
    Bind(std::net::SocketAddr, io::Error),
    /// The server broke.
    #[error(transparent)]
    Server(#[from] io::Error),
}

/// Serves until Ctrl-C or SIGTERM; then requests in flight finish, and the own
/// Redis ends last.
pub async fn serve(config: Config) -> Result<(), StartError> {
    if let Some(name) = &config.broken {
        failpoints::enable(name);
    }
    let policy: CachePolicy = config.policy.parse()?;
    assets::open(config.static_dir())?;
    let own = match config.redis() {
        Some(_) => None,
        None => Some(ManagedRedis::start(&config.data_dir).await?),
    };
    let outcome = serve_on(&config, policy, own.as_ref()).await;
    if let Some(own) = own {
        own.stop().await;
    }
    outcome
}

async fn serve_on(
    config: &Config,
    policy: CachePolicy,
    own: Option<&ManagedRedis>,
) -> Result<(), StartError> {
    let address = match (own, config.redis()) {
        (None, Some(url)) => Address::parse(&url)?,
        (Some(own), _) => own.address(),
        (None, None) => unreachable!("without a configured Redis there is an own one"),
    };
    let metrics = Arc::new(Metrics::default());
    // The start has no visitor waiting, and bulk work may take its time.
    let patient = Db::open_patiently(&config.database(), metrics.database_queries.clone()).await?;
    let imported = import::import(&patient, config.profiles.as_deref()).await?;
    let known_ids = Arc::new(patient.some_ids(SUGGESTIONS).await?);
    let db = Db::open(&config.database(), metrics.database_queries.clone()).await?;
    let health = Arc::new(Health::default());
    let store = Store::open(&address, &config.key_prefix, &health);
    let engine = Engine::new(&config.key_prefix, &keys::CACHED, metrics.clone());
    let engine = Arc::new(engine.with_max_entry_bytes(config.max_entry_bytes));
    let cache = Cache::new(store.clone(), Arc::clone(&engine));
    profiles::recall(&cache, &patient, &policy.ttl(config.profile_ttl)).await?;
    let connected = async {
        match own {
            Some(_) => await_managed(&store).await,
            None => await_configured(&store).await,
        }
    };
    // Process 1 of a container has no default action for SIGTERM.
    tokio::select! {
        () = connected => (),
        () = asked_to_stop()? => return Ok(()),
    }
    let db = Arc::new(db);
    engine.track(&address, &config.key_prefix);
    let flushing =
        FlushPolicy { size: config.flush_size as usize, interval: config.flush_interval };
    let flusher = Flusher::start(&cache, Behind(Arc::clone(&db)), flushing);
    let sampler = Arc::new(Sampler::start(&cache, Arc::clone(&metrics)).await);
    let run_lock = RunLock::default();
    let stampedes = Stampedes::new(&address, &config.key_prefix, &db, &run_lock);
    let console = config.has_console().then(|| Arc::new(Console::new(&address, own.is_some())));
    let shared = AppState {
        config: Arc::new(config.clone()),
        db,
        metrics,
        engine,
        policy,
        sampler,
        address: address.clone(),
        health,
        known_ids,
        viewers: ConnectionLimit::new(VIEWERS_MAX),
        listeners: ConnectionLimit::new(LISTENERS_MAX),
        stampedes,
        trials: Trials::new(&address, &config.key_prefix, &run_lock),
        plays: ActionResult::store(),
        console,
        round_trips: RoundTrips::new(&address, &run_lock),
        visits: StrategySession::store(),
        outcomes: PlaygroundResults::default(),
        invalidations: ResultStore::with_max_entries(INVALIDATIONS_MAX),
    };
    log::info!("database: {} ({imported} profiles imported)", config.database());
    log::info!("Redis: {address}; reach it with: {}", address.redis_cli());
    let outcome = run(shared).await;
    flusher.stop().await;
    outcome
}

async fn run(shared: AppState) -> Result<(), StartError> {
    let (bind, shared_delay) = (shared.config.bind, shared.config.database_delay);
    let sampler = Arc::clone(&shared.sampler);
    let server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(Data::new(WorkerState::on_this_worker(shared.clone())))
            .wrap(Guard)
            .configure(routes)
    })
    // Without it a small answer on a kept connection waits 40 ms for the last one's ACK.
    .tcp_nodelay(true)
    .client_request_timeout(HEAD_DEADLINE)
    .shutdown_timeout((shared_delay.max(DELAY_MAX) + STOP).as_secs())
    .disable_signals()
    .bind(bind)
    .map_err(|error| StartError::Bind(bind, error))?;
    let asked_to_stop = asked_to_stop()?;
    for address in server.addrs() {
        log::info!("hitrate is at http://{address}");
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        asked_to_stop.await;
        log::info!("stopping: requests in flight finish first");
        // Live panels follow the samples; without them they would never end.
        sampler.stop();
        handle.stop(true).await;
    });
    Ok(server.await?)
}

/// Completes at Ctrl-C or SIGTERM, which are caught from this call on.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

async fn await_managed(store: &Store) {
    match store.ready(MANAGED_TIMEOUT).await {
        Ok(()) => log::info!("Redis connected successfully"),
        Err(error) => log::warn!("starting without Redis: {error}"),
    }
}

/// Three attempts; after them hitrate serves without and goes on trying.
async fn await_configured(store: &Store) {
    let mut pauses = RETRIES.iter();
    loop {
        let Err(error) = store.ready(ATTEMPT).await else {
            return log::info!("Redis connected successfully");
        };
        let Some(pause) = pauses.next() else {
            return log::warn!("serving without Redis until it is there: {error}");
        };
        log::warn!("{error}; trying again in {} s", pause.as_secs());
        sleep(*pause).await;
    }
}
