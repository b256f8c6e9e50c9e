//! What round trips cost, measured: the same commands singly, in pipelines and
//! all at once, over a network whose round trip is simulated; and a blocking
//! client beside an async one.
//!
//! It has a thread and connections of its own, so nobody who looks at a page
//! meanwhile waits behind it. One runs at a time: two would measure each other.

mod claims;
mod clients;
mod modes;
mod spread;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, DedicatedConnection, RedisError, Store},
    time::{micros, millis},
    trace::Trace,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

pub use self::{
    clients::{ClientReport, LOAD, POOL},
    modes::{MAX_DURATION, RoundTripRow, SendMode, Verb},
    spread::Spread,
};
use crate::{
    input::{self, Input, Kind},
    labs::support::{
        result_store::{RequestedRun, ResultStore, RunToken},
        run_lock::{RunLock, RunLockError},
        visitor_keys::VisitorKeys,
    },
};

/// The most commands, and how many unless said otherwise: the documents' number.
pub const COUNT_MAX: u32 = 1_000;
/// Simulated round trips that can be chosen, by the word that is sent: none,
/// within a data centre, within a region, between regions.
pub const NETWORKS: [(&str, Duration); 4] = [
    ("0", Duration::ZERO),
    ("0.5", Duration::from_micros(500)),
    ("2", Duration::from_millis(2)),
    ("10", Duration::from_millis(10)),
];
/// The one that is chosen unless another is: the documents' numbers fit it.
pub const DEFAULTS: Duration = Duration::from_micros(500);
/// Pings that tell what a round trip takes.
const PINGS: usize = 50;
/// The most results that are kept: a few kilobytes each.
const RESULTS_MAX: u64 = 64;

/// One of [`NETWORKS`], as a form names it.
#[derive(Debug, Clone, Copy)]
pub struct Network(pub Duration);

impl Input for Network {
    const KIND: Kind = Kind::Choice(&[NETWORKS[0].0, NETWORKS[1].0, NETWORKS[2].0, NETWORKS[3].0]);

    fn accept(word: String) -> Self {
        let network = NETWORKS.into_iter().find(|(name, _)| *name == word);
        Self(network.map_or(DEFAULTS, |(_, round_trip)| round_trip))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        input::deserialize(deserializer)
    }
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct RoundTripsPlan {
    /// Commands in each turn, 1 to [`COUNT_MAX`].
    pub count: usize,
    /// One of [`NETWORKS`].
    pub round_trip: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoundTripsOutcome {
    /// Commands in each turn.
    pub count: u64,
    /// The simulated round trip, in microseconds.
    pub simulated_us: u64,
    /// A round trip as it was: PING and PONG over the same connection.
    pub ping: Spread,
    /// Milliseconds for all of it.
    pub took_ms: u64,
    /// Each command by each way.
    pub rows: Vec<RoundTripRow>,
    /// The blocking client and the async one, without a simulated network.
    pub clients: Vec<ClientReport>,
}

/// Why there is nothing to show.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RoundTripsError {
    /// It is another's turn.
    #[error(transparent)]
    Turn(#[from] RunLockError),
    /// TLS has its ends inside the drivers, where no network can be put between.
    #[error("through TLS no network can be simulated: choose a round trip of 0")]
    Secured,
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Measures, one at a time, and keeps what was measured last.
#[derive(Clone)]
pub struct RoundTrips {
    address: Address,
    run_lock: RunLock,
    results: ResultStore<RunToken, RoundTripsOutcome>,
}

impl RoundTrips {
    /// On this Redis.
    pub fn new(address: &Address, run_lock: &RunLock) -> Self {
        Self {
            address: address.clone(),
            run_lock: run_lock.clone(),
            results: ResultStore::with_max_entries(RESULTS_MAX),
        }
    }

    /// The result that a request names.
    pub fn requested(&self, run: Option<&str>) -> RequestedRun<RoundTripsOutcome> {
        self.results.requested(run, |_| true)
    }

    /// Measures on keys of `demo`, to the end even when nobody waits for it any
    /// more. Returns the token of the result.
    pub async fn run(
        &self,
        store: Store,
        demo: VisitorKeys,
        plan: RoundTripsPlan,
    ) -> Result<(RunToken, Arc<RoundTripsOutcome>), RoundTripsError> {
        if store.is_unavailable() {
            return Err(RoundTripsError::Redis(RedisError::Unreachable));
        }
        let this = self.clone();
        let work =
            async move || Ok(this.results.add(this.measure(&Bench { store, demo, plan }).await?));
        self.run_lock.run("round-trips", work).await?
    }

    async fn measure(&self, bench: &Bench) -> Result<RoundTripsOutcome, RoundTripsError> {
        let since = Instant::now();
        let mut direct = DedicatedConnection::open(&self.address).await?.with_bulk_deadline();
        let mut call = self.call(&direct, bench.plan.round_trip).await?;
        let measured = async {
            let ping = pings(&mut call, bench).await?;
            let rows = modes::measure(&call, bench).await?;
            let clients = clients::measure(&self.address, bench).await?;
            Ok::<_, RedisError>((ping, rows, clients))
        };
        let (ping, rows, clients) = match measured.await {
            // A Redis that is silent would keep everyone waiting twice more,
            // and the keys have an end of their own.
            Err(error) if error.is_about_the_connection() => return Err(error.into()),
            measured => {
                for family in ["set", "crowd"] {
                    let _ = bench.clear(&mut direct, family).await;
                }
                measured?
            }
        };
        Ok(RoundTripsOutcome {
            count: bench.plan.count as u64,
            simulated_us: micros(bench.plan.round_trip),
            ping,
            took_ms: millis(since.elapsed()),
            rows,
            clients,
        })
    }

    /// Through the simulated network, if there shall be one.
    async fn call(
        &self,
        direct: &DedicatedConnection,
        round_trip: Duration,
    ) -> Result<DedicatedConnection, RoundTripsError> {
        if round_trip.is_zero() {
            return Ok(direct.clone());
        }
        match DedicatedConnection::open_through(&self.address, round_trip).await {
            Ok(call) => Ok(call.with_bulk_deadline()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                Err(RoundTripsError::Secured)
            }
            Err(_) => Err(RoundTripsError::Redis(RedisError::Unreachable)),
        }
    }
}

/// What a measurement works on.
struct Bench {
    /// It makes commands; they are sent over other connections.
    store: Store,
    demo: VisitorKeys,
    plan: RoundTripsPlan,
}

impl Bench {
    /// Removes the keys of this family; what is left if this fails ends by itself.
    async fn clear(&self, call: &mut DedicatedConnection, family: &str) -> Result<(), RedisError> {
        let names: Vec<_> = (0..COUNT_MAX).map(|n| format!("{family}:{n}")).collect();
        for names in names.chunks(100) {
            let unlink = |name: &String| self.store.on("UNLINK", &self.demo.key(name));
            call.pipeline_raw(names.iter().map(unlink).collect(), &Trace::disabled()).await?;
        }
        Ok(())
    }
}

async fn pings(call: &mut DedicatedConnection, bench: &Bench) -> Result<Spread, RedisError> {
    let ping = bench.store.command("PING");
    // The first one warms up.
    call.run(&ping).await?;
    let mut took = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let sent = Instant::now();
        call.run(&ping).await?;
        took.push(spread::nanos(sent.elapsed()));
    }
    Ok(Spread::of(&took))
}
