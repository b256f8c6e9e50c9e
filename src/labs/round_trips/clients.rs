//! Compares a blocking client with an async one: connecting, a hit, a miss, and a
//! thousand concurrent misses. Both connect to Redis directly and run one after the
//! other.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use hitrate_cache::{
    redis::{Address, BlockingConnection, Command, DedicatedConnection, RedisError},
    time::micros,
};
use serde::Serialize;
use tokio::{task::JoinSet, time::sleep};
use utoipa::ToSchema;

use super::{
    Bench,
    spread::{Spread, nanos},
};

/// Simulated load duration of a miss.
pub const LOAD: Duration = Duration::from_millis(20);
/// Number of concurrent misses.
const BURST: usize = 1_000;
/// Threads of the blocking client, each with a connection: the tutorial's pool size.
pub const POOL: usize = 20;
/// No further miss starts after this time.
const MAX_DURATION: Duration = Duration::from_secs(3);
/// Repetitions of each measurement.
const CONNECTS: usize = 5;
const HITS: usize = 200;
const MISSES: usize = 5;
/// TTL of the keys, should they not be removed, in seconds.
const KEY_TTL_S: u64 = 60;

/// The measurements of one client.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientReport {
    /// `blocking` or `async`.
    pub name: &'static str,
    /// Time to connect.
    pub connect: Spread,
    /// Time of a hit.
    pub hit: Spread,
    /// Time of a miss: read, load and store.
    pub miss: Spread,
    /// Hits that the same thread served during one miss.
    pub hits_meanwhile: u64,
    /// Completed misses of a thousand concurrent ones.
    pub concurrent_misses: u64,
    /// Duration of the concurrent misses, in microseconds.
    pub concurrent_us: u64,
    /// Number of threads.
    pub threads: u64,
    /// Number of connections.
    pub connections: u64,
}

/// Measures the blocking client, then the async one.
pub async fn measure(address: &Address, bench: &Bench) -> Result<Vec<ClientReport>, RedisError> {
    let blocking = blocking(address, bench)?;
    let mut connection = DedicatedConnection::open(address).await?.with_bulk_deadline();
    bench.clear(&mut connection, "burst").await?;
    Ok(vec![blocking, not_blocking(address, bench).await?])
}

/// The commands of a miss: read and store.
fn miss(bench: &Bench, n: usize) -> [Command; 2] {
    let (store, key) = (&bench.store, bench.demo.key(&format!("burst:{n}")));
    [store.on("GET", &key), store.on("SET", &key).arg("loaded").arg("EX").arg(KEY_TTL_S)]
}

/// Reads a key that the first part of the measurement has written.
fn hit(bench: &Bench) -> Command {
    bench.store.on("GET", &bench.demo.key("set:0"))
}

fn blocking(address: &Address, bench: &Bench) -> Result<ClientReport, RedisError> {
    let connect = timed(CONNECTS, |_| BlockingConnection::open(address).map(drop))?;
    let mut connection = BlockingConnection::open(address)?;
    let there = hit(bench);
    let hit = timed(HITS, |_| connection.run(&there).map(drop))?;
    let missed = timed(MISSES, |n| blocking_miss(&mut connection, bench, BURST - 1 - n))?;
    let start = Instant::now();
    let concurrent_misses = blocking_burst(address, bench, start)?;
    Ok(ClientReport {
        name: "blocking",
        connect,
        hit,
        miss: missed,
        // The thread is blocked and serves no other request.
        hits_meanwhile: 0,
        concurrent_misses,
        concurrent_us: micros(start.elapsed()),
        threads: POOL as u64,
        connections: POOL as u64,
    })
}

fn blocking_miss(
    connection: &mut BlockingConnection,
    bench: &Bench,
    n: usize,
) -> Result<(), RedisError> {
    let [read, store] = miss(bench, n);
    connection.run(&read)?;
    thread::sleep(LOAD);
    connection.run(&store).map(drop)
}

/// Threads handle misses until none or no time is left. Returns the number completed.
fn blocking_burst(address: &Address, bench: &Bench, start: Instant) -> Result<u64, RedisError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<u64, RedisError> {
        let mut connection = BlockingConnection::open(address)?;
        let mut done = 0;
        while start.elapsed() < MAX_DURATION {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= BURST {
                break;
            }
            blocking_miss(&mut connection, bench, n)?;
            done += 1;
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..POOL)
            .map(|_| {
                thread::Builder::new()
                    .spawn_scoped(scope, work)
                    .map_err(|_| RedisError::Unreachable)
            })
            .collect();
        let mut done = 0;
        for worker in workers {
            done += worker?.join().unwrap_or(Err(RedisError::Unreachable))?;
        }
        Ok(done)
    })
}

async fn not_blocking(address: &Address, bench: &Bench) -> Result<ClientReport, RedisError> {
    let mut connects = Vec::new();
    for _ in 0..CONNECTS {
        let start = Instant::now();
        DedicatedConnection::open(address).await?;
        connects.push(nanos(start.elapsed()));
    }
    let connection = DedicatedConnection::open(address).await?.with_bulk_deadline();
    let hits = hits(&mut connection.clone(), bench, HITS, Duration::MAX).await?;
    let mut misses = Vec::new();
    for n in 0..MISSES {
        let start = Instant::now();
        async_miss(connection.clone(), miss(bench, BURST - 1 - n)).await?;
        misses.push(nanos(start.elapsed()));
    }
    let hits_meanwhile = hits_meanwhile(&connection, bench).await?;
    bench.clear(&mut connection.clone(), "burst").await?;
    let start = Instant::now();
    let concurrent_misses = async_burst(&connection, bench).await?;
    Ok(ClientReport {
        name: "async",
        connect: Spread::of(&connects),
        hit: Spread::of(&hits),
        miss: Spread::of(&misses),
        hits_meanwhile,
        concurrent_misses,
        concurrent_us: micros(start.elapsed()),
        threads: 1,
        connections: 1,
    })
}

async fn hits(
    connection: &mut DedicatedConnection,
    bench: &Bench,
    max: usize,
    within: Duration,
) -> Result<Vec<u64>, RedisError> {
    let (there, start) = (hit(bench), Instant::now());
    let mut took = Vec::new();
    while took.len() < max && start.elapsed() < within {
        let sent = Instant::now();
        connection.run(&there).await?;
        took.push(nanos(sent.elapsed()));
    }
    Ok(took)
}

/// Counts the hits that the same thread serves during one miss.
async fn hits_meanwhile(
    connection: &DedicatedConnection,
    bench: &Bench,
) -> Result<u64, RedisError> {
    let waiting = async_miss(connection.clone(), miss(bench, 0));
    let mut other = connection.clone();
    let answered = hits(&mut other, bench, usize::MAX, LOAD);
    let (missed, answered) = tokio::join!(waiting, answered);
    missed?;
    Ok(answered?.len() as u64)
}

async fn async_miss(
    mut connection: DedicatedConnection,
    [read, store]: [Command; 2],
) -> Result<(), RedisError> {
    connection.run(&read).await?;
    sleep(LOAD).await;
    connection.run(&store).await.map(drop)
}

async fn async_burst(connection: &DedicatedConnection, bench: &Bench) -> Result<u64, RedisError> {
    let mut concurrent_misses = JoinSet::new();
    for n in 0..BURST {
        concurrent_misses.spawn(async_miss(connection.clone(), miss(bench, n)));
    }
    let mut done = 0;
    while let Some(ended) = concurrent_misses.join_next().await {
        ended.map_err(|_| RedisError::Unreachable)??;
        done += 1;
    }
    Ok(done)
}

/// Repeats an operation sequentially and measures it.
fn timed(
    times: usize,
    mut act: impl FnMut(usize) -> Result<(), RedisError>,
) -> Result<Spread, RedisError> {
    let mut took = Vec::with_capacity(times);
    for n in 0..times {
        let start = Instant::now();
        act(n)?;
        took.push(nanos(start.elapsed()));
    }
    Ok(Spread::of(&took))
}
