//! A client that blocks its thread beside one that does not: connecting, a hit,
//! a miss, and a thousand misses at once. Both straight to Redis, on the same
//! machine, one after the other.

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

/// Simulated time that a miss waits for its value.
pub const LOAD: Duration = Duration::from_millis(20);
/// Misses at once.
const CROWD: usize = 1_000;
/// Threads of the blocking client, each with a connection: the documents' pool.
pub const POOL: usize = 20;
/// No further miss is begun later.
const MAX_DURATION: Duration = Duration::from_secs(3);
/// How often each thing is done.
const CONNECTS: usize = 5;
const HITS: usize = 200;
const MISSES: usize = 5;
/// How long the keys stay if they are not removed, in seconds.
const KEPT: u64 = 60;

/// What one client took.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientReport {
    /// `blocking` or `async`.
    pub name: &'static str,
    /// Connecting.
    pub connect: Spread,
    /// A value that is there.
    pub hit: Spread,
    /// A value that is not: asked for, waited for, stored.
    pub miss: Spread,
    /// Hits that the same thread answered while one miss waited.
    pub meanwhile: u64,
    /// Misses that were done of a thousand that came at once.
    pub crowd: u64,
    /// Microseconds for those.
    pub crowd_us: u64,
    /// Threads that took.
    pub threads: u64,
    /// Connections that took.
    pub connections: u64,
}

/// The blocking client, then the async one.
pub async fn measure(address: &Address, bench: &Bench) -> Result<Vec<ClientReport>, RedisError> {
    let blocking = blocking(address, bench)?;
    let mut call = DedicatedConnection::open(address).await?.with_bulk_deadline();
    bench.clear(&mut call, "crowd").await?;
    Ok(vec![blocking, not_blocking(address, bench).await?])
}

/// The commands of a miss of this number: look, and store.
fn miss(bench: &Bench, n: usize) -> [Command; 2] {
    let (store, key) = (&bench.store, bench.demo.key(&format!("crowd:{n}")));
    [store.on("GET", &key), store.on("SET", &key).arg("loaded").arg("EX").arg(KEPT)]
}

/// A key that the first part of the measurement has written.
fn hit(bench: &Bench) -> Command {
    bench.store.on("GET", &bench.demo.key("set:0"))
}

fn blocking(address: &Address, bench: &Bench) -> Result<ClientReport, RedisError> {
    let connect = timed(CONNECTS, |_| BlockingConnection::open(address).map(drop))?;
    let mut call = BlockingConnection::open(address)?;
    let there = hit(bench);
    let hit = timed(HITS, |_| call.run(&there).map(drop))?;
    let missed = timed(MISSES, |n| blocking_miss(&mut call, bench, CROWD - 1 - n))?;
    let start = Instant::now();
    let crowd = blocking_crowd(address, bench, start)?;
    Ok(ClientReport {
        name: "blocking",
        connect,
        hit,
        miss: missed,
        // Its thread waits, so there is nobody to answer.
        meanwhile: 0,
        crowd,
        crowd_us: micros(start.elapsed()),
        threads: POOL as u64,
        connections: POOL as u64,
    })
}

fn blocking_miss(call: &mut BlockingConnection, bench: &Bench, n: usize) -> Result<(), RedisError> {
    let [look, store] = miss(bench, n);
    call.run(&look)?;
    thread::sleep(LOAD);
    call.run(&store).map(drop)
}

/// Threads take misses until none or no time is left; returns how many they did.
fn blocking_crowd(address: &Address, bench: &Bench, start: Instant) -> Result<u64, RedisError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<u64, RedisError> {
        let mut call = BlockingConnection::open(address)?;
        let mut done = 0;
        while start.elapsed() < MAX_DURATION {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= CROWD {
                break;
            }
            blocking_miss(&mut call, bench, n)?;
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
    let call = DedicatedConnection::open(address).await?.with_bulk_deadline();
    let hits = hits(&mut call.clone(), bench, HITS, Duration::MAX).await?;
    let mut misses = Vec::new();
    for n in 0..MISSES {
        let start = Instant::now();
        async_miss(call.clone(), miss(bench, CROWD - 1 - n)).await?;
        misses.push(nanos(start.elapsed()));
    }
    let meanwhile = meanwhile(&call, bench).await?;
    bench.clear(&mut call.clone(), "crowd").await?;
    let start = Instant::now();
    let crowd = async_crowd(&call, bench).await?;
    Ok(ClientReport {
        name: "async",
        connect: Spread::of(&connects),
        hit: Spread::of(&hits),
        miss: Spread::of(&misses),
        meanwhile,
        crowd,
        crowd_us: micros(start.elapsed()),
        threads: 1,
        connections: 1,
    })
}

async fn hits(
    call: &mut DedicatedConnection,
    bench: &Bench,
    max: usize,
    within: Duration,
) -> Result<Vec<u64>, RedisError> {
    let (there, start) = (hit(bench), Instant::now());
    let mut took = Vec::new();
    while took.len() < max && start.elapsed() < within {
        let sent = Instant::now();
        call.run(&there).await?;
        took.push(nanos(sent.elapsed()));
    }
    Ok(took)
}

/// Hits that are answered while one miss waits, by the same thread.
async fn meanwhile(call: &DedicatedConnection, bench: &Bench) -> Result<u64, RedisError> {
    let waiting = async_miss(call.clone(), miss(bench, 0));
    let mut other = call.clone();
    let answered = hits(&mut other, bench, usize::MAX, LOAD);
    let (missed, answered) = tokio::join!(waiting, answered);
    missed?;
    Ok(answered?.len() as u64)
}

async fn async_miss(
    mut call: DedicatedConnection,
    [look, store]: [Command; 2],
) -> Result<(), RedisError> {
    call.run(&look).await?;
    sleep(LOAD).await;
    call.run(&store).await.map(drop)
}

async fn async_crowd(call: &DedicatedConnection, bench: &Bench) -> Result<u64, RedisError> {
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        crowd.spawn(async_miss(call.clone(), miss(bench, n)));
    }
    let mut done = 0;
    while let Some(ended) = crowd.join_next().await {
        ended.map_err(|_| RedisError::Unreachable)??;
        done += 1;
    }
    Ok(done)
}

/// Does something several times, one after the other.
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
