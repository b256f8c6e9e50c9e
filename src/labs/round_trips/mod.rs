//! Measures the cost of round trips: the same commands one by one, in pipelines and
//! concurrently, over a simulated network latency; and a blocking client compared with an
//! async one.
//!
//! Runs on a thread and connections of its own, so that it does not delay page requests.
//! One measurement runs at a time, because concurrent ones would distort each other.

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
    redis::{Address, Client, DedicatedConnection, RedisError},
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

/// Maximum and default number of commands, as in the tutorial.
pub const COUNT_MAX: u32 = 1_000;
/// Simulated round-trip times, by form value: none, within a data centre, within a
/// region, between regions.
pub const NETWORKS: [(&str, Duration); 4] = [
    ("0", Duration::ZERO),
    ("0.5", Duration::from_micros(500)),
    ("2", Duration::from_millis(2)),
    ("10", Duration::from_millis(10)),
];
/// The default round-trip time, which fits the tutorial's numbers.
pub const DEFAULT_NETWORK: Duration = Duration::from_micros(500);
/// Number of pings that measure the actual round-trip time.
const PINGS: usize = 50;
/// Maximum number of results kept, a few kilobytes each.
const RESULTS_MAX: u64 = 64;

/// One of [`NETWORKS`], as a form value.
#[derive(Debug, Clone, Copy)]
pub struct Network(pub Duration);

impl Input for Network {
    const KIND: Kind = Kind::Choice(&[NETWORKS[0].0, NETWORKS[1].0, NETWORKS[2].0, NETWORKS[3].0]);

    fn accept(word: String) -> Self {
        let network = NETWORKS.into_iter().find(|(name, _)| *name == word);
        Self(network.map_or(DEFAULT_NETWORK, |(_, round_trip)| round_trip))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        input::deserialize(deserializer)
    }
}

/// The parameters of a measurement.
#[derive(Debug, Clone)]
pub struct RoundTripsPlan {
    /// Commands per round, 1 to [`COUNT_MAX`].
    pub count: usize,
    /// One of [`NETWORKS`].
    pub round_trip: Duration,
}

/// The result of a measurement.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoundTripsOutcome {
    /// Commands per round.
    pub count: u64,
    /// Simulated round-trip time, in microseconds.
    pub simulated_us: u64,
    /// Actual round-trip time, by PING over the same connection.
    pub ping: Spread,
    /// Total duration in milliseconds.
    pub took_ms: u64,
    /// Each command in each send mode.
    pub rows: Vec<RoundTripRow>,
    /// The blocking and the async client, without a simulated network.
    pub clients: Vec<ClientReport>,
}

/// The error of a measurement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RoundTripsError {
    /// Another measurement is running, or the run was aborted.
    #[error(transparent)]
    RunLock(#[from] RunLockError),
    /// TLS ends inside the drivers, so no delay can be inserted.
    #[error("a network can't be simulated over TLS: choose a round trip of 0")]
    Secured,
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// Runs measurements, one at a time, and keeps their results.
#[derive(Clone)]
pub struct RoundTrips {
    address: Address,
    run_lock: RunLock,
    results: ResultStore<RunToken, RoundTripsOutcome>,
}

impl RoundTrips {
    /// Measurements on this Redis.
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

    /// Measures on keys of `demo` to completion, even if the client disconnects. Returns
    /// the token of the result.
    pub async fn run(
        &self,
        store: Client,
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
        let mut connection = self.call(&direct, bench.plan.round_trip).await?;
        let measured = async {
            let ping = pings(&mut connection, bench).await?;
            let rows = modes::measure(&connection, bench).await?;
            let clients = clients::measure(&self.address, bench).await?;
            Ok::<_, RedisError>((ping, rows, clients))
        };
        let (ping, rows, clients) = match measured.await {
            // With an unresponsive Redis, removing the keys would take two more timeouts;
            // their TTL removes them.
            Err(error) if error.is_about_the_connection() => return Err(error.into()),
            measured => {
                for prefix in ["set", "burst"] {
                    let _ = bench.clear(&mut direct, prefix).await;
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

    /// A connection through the simulated network, unless its round-trip time is 0.
    async fn call(
        &self,
        direct: &DedicatedConnection,
        round_trip: Duration,
    ) -> Result<DedicatedConnection, RoundTripsError> {
        if round_trip.is_zero() {
            return Ok(direct.clone());
        }
        match DedicatedConnection::open_through(&self.address, round_trip).await {
            Ok(connection) => Ok(connection.with_bulk_deadline()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                Err(RoundTripsError::Secured)
            }
            Err(_) => Err(RoundTripsError::Redis(RedisError::Unreachable)),
        }
    }
}

/// The setup of a measurement.
struct Bench {
    /// Builds commands, which are sent over other connections.
    store: Client,
    demo: VisitorKeys,
    plan: RoundTripsPlan,
}

impl Bench {
    /// Removes the keys with this prefix. If that fails, their TTL removes them.
    async fn clear(
        &self,
        connection: &mut DedicatedConnection,
        prefix: &str,
    ) -> Result<(), RedisError> {
        let names: Vec<_> = (0..COUNT_MAX).map(|n| format!("{prefix}:{n}")).collect();
        for names in names.chunks(100) {
            let unlink = |name: &String| self.store.on("UNLINK", &self.demo.key(name));
            connection.pipeline_raw(names.iter().map(unlink).collect(), &Trace::disabled()).await?;
        }
        Ok(())
    }
}

async fn pings(connection: &mut DedicatedConnection, bench: &Bench) -> Result<Spread, RedisError> {
    let ping = bench.store.command("PING");
    // Warm-up.
    connection.run(&ping).await?;
    let mut took = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let sent = Instant::now();
        connection.run(&ping).await?;
        took.push(spread::nanos(sent.elapsed()));
    }
    Ok(Spread::of(&took))
}
