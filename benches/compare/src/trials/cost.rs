//! Trials of what a call costs.

use std::{
    iter::{repeat_n, repeat_with},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use super::{Kind, Trial, misses};
use crate::{
    Result,
    contestants::Instance,
    fact::Fact,
    origin::Origin,
    single_flight::SingleFlight,
    stage::{Place, Stage, call, crowd},
};

const LOAD_TIME: Duration = Duration::from_millis(5);
/// A megabyte, which leaves room for a header below a limit of 1 MiB.
const LARGE_BYTES: usize = 1_000_000;
const READS: usize = 5;

pub const LARGE_VALUE: Trial = Trial {
    name: "A value of 1 MB, read five times",
    settings: "the origin takes 5 ms; the time is the median of the reads after the first",
    kind: Kind::Short,
    run: |stage| Box::pin(large_value(stage)),
};

async fn large_value(stage: &Stage) -> Result<Vec<Fact>> {
    let instance = stage.connect().await?;
    let origin = Origin::with_text(LOAD_TIME, LARGE_BYTES);
    let mut times = Vec::new();
    for _ in 0..READS {
        times.push(call(&instance, 1, &origin, stage.pace.limit).await.time);
    }
    let later = times.split_off(1);
    Ok(vec![misses::loads(&origin), Fact::time("{} per read", median(later))])
}

const IN_FLIGHT: usize = 64;
/// Hits of each of those tasks per turn.
const PER_TASK: usize = 10;
/// Single hits for each turn of many tasks.
const HITS_PER_TURN: usize = 20;
/// Operations before a measurement, as connections are new and CPU caches cold.
const WARM_UP: usize = 100;

pub const HIT_IN_REDIS: Trial = Trial {
    name: "A hit in Redis, as a ratio to a raw `GET`",
    settings: "a row of 100 bytes; `GET` of as many bytes on one multiplexed connection of \
        redis-rs, not decoded; the latency of one call at a time, and the processor time of this \
        process with 64 in flight",
    kind: Kind::Noisy,
    run: |stage| Box::pin(hits(stage, Place::Redis)),
};

pub const HIT_IN_MEMORY: Trial = Trial {
    name: "A hit in memory, as a ratio to a raw `GET`",
    settings: "the same, with an instance that keeps copies in memory",
    kind: Kind::Noisy,
    run: |stage| Box::pin(hits(stage, Place::Memory)),
};

async fn hits(stage: &Stage, place: Place) -> Result<Vec<Fact>> {
    let Some(instance) = stage.connect_for_hits(place).await? else {
        return Ok(vec![Fact::word(match place {
            Place::Redis => "answers from memory",
            Place::Memory => "–",
        })]);
    };
    let origin = Origin::new(LOAD_TIME);
    let raw = raw_connection(stage, &origin).await?;
    let hit = |count| hit(Arc::clone(&instance), Arc::clone(&origin), count);
    let get = |count| get(raw.clone(), count);
    compare(WARM_UP, || latency(hit(1)), || latency(get(1))).await?;
    let single = compare(stage.pace.hits, || latency(hit(1)), || latency(get(1))).await?;
    let hits = || cpu_time(in_tasks(|| hit(PER_TASK)));
    let gets = || cpu_time(in_tasks(|| get(PER_TASK)));
    let parallel = compare(stage.pace.hits / HITS_PER_TURN, hits, gets).await?;
    if origin.loads() != 1 {
        return Err(format!("{} loads, so these were not hits", origin.loads()).into());
    }
    Ok(vec![Fact::ratio("latency {}", single), Fact::ratio("processor time {}", parallel)])
}

/// The ratio of the median times of two operations, in alternation.
async fn compare<A, B>(turns: usize, one: impl Fn() -> A, other: impl Fn() -> B) -> Result<f64>
where
    A: Future<Output = Result<Duration>>,
    B: Future<Output = Result<Duration>>,
{
    let (mut ones, mut others) = (Vec::with_capacity(turns), Vec::with_capacity(turns));
    for _ in 0..turns {
        ones.push(one().await?);
        others.push(other().await?);
    }
    Ok(median(ones).as_secs_f64() / median(others).as_secs_f64())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A connection, and a key [`RAW_KEY`] with as many bytes as a row has in JSON.
async fn raw_connection(stage: &Stage, origin: &Arc<Origin>) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(stage.redis.url())?;
    let mut raw = client.get_multiplexed_async_connection().await?;
    let row = serde_json::to_vec(&origin.row(1))?;
    raw.set::<_, _, ()>(RAW_KEY, row).await?;
    Ok(raw)
}

const RAW_KEY: &str = "raw";

async fn hit(instance: Arc<dyn Instance>, origin: Arc<Origin>, count: usize) -> Result<()> {
    for _ in 0..count {
        instance.get(1, &origin).await?;
    }
    Ok(())
}

async fn get(mut raw: MultiplexedConnection, count: usize) -> Result<()> {
    for _ in 0..count {
        std::hint::black_box(raw.get::<_, Vec<u8>>(RAW_KEY).await?);
    }
    Ok(())
}

/// Runs [`IN_FLIGHT`] tasks.
async fn in_tasks<F>(task: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut running: JoinSet<Result<()>> = repeat_with(task).take(IN_FLIGHT).collect();
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

async fn latency(operation: impl Future<Output = Result<()>>) -> Result<Duration> {
    let start = Instant::now();
    operation.await?;
    Ok(start.elapsed())
}

/// The processor time of this process until the operation has ended. Other work on the
/// machine hardly affects it.
async fn cpu_time(operation: impl Future<Output = Result<()>>) -> Result<Duration> {
    let now = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime));
    let start = now()?;
    operation.await?;
    Ok(now()? - start)
}

const MISSES_AT_ONCE: usize = 1_000;
const MISS_LOAD_TIME: Duration = Duration::from_millis(20);
/// Crowds per round.
const CROWDS: usize = 9;

pub const MISSES: Trial = Trial {
    name: "1,000 misses of a key at once, as a ratio to a hand-written single-flight",
    settings: "processor time; the origin takes 20 ms, and the single-flight is a \
        map of shared futures around `GET`, load and `SET PX`, without memory",
    kind: Kind::Noisy,
    run: |stage| Box::pin(misses_at_once(stage)),
};

async fn misses_at_once(stage: &Stage) -> Result<Vec<Fact>> {
    let contestant = stage.connect().await?;
    let baseline = SingleFlight::connect(&stage.redis.url()).await?;
    // Each crowd has a row of its own: both store rows in the same Redis.
    let (next_id, limit) = (AtomicU64::new(0), stage.pace.limit);
    let crowd = |instance| cpu_time(miss(instance, next_id.fetch_add(1, Relaxed), limit));
    let ratio = compare(CROWDS, || crowd(&contestant), || crowd(&baseline)).await?;
    Ok(vec![Fact::ratio("{}", ratio)])
}

async fn miss(instance: &Arc<dyn Instance>, id: u64, limit: Duration) -> Result<()> {
    let origin = Origin::new(MISS_LOAD_TIME);
    let crowd = crowd(instance, repeat_n(id, MISSES_AT_ONCE), &origin, limit).await?;
    match crowd.answered() {
        MISSES_AT_ONCE => Ok(()),
        some => Err(format!("{some} of {MISSES_AT_ONCE} calls were answered").into()),
    }
}
