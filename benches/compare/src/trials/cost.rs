//! Trials of what a call costs.

use std::{
    iter::{repeat_n, repeat_with},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
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
/// Alternations of a measurement with many tasks.
const TURNS: usize = 5;
/// Operations before a measurement, as connections are new and CPU caches cold.
const WARM_UP: usize = 100;

pub const HIT_IN_REDIS: Trial = Trial {
    name: "A hit in Redis, as a ratio to a raw `GET`",
    settings: "a row of 100 bytes; `GET` of as many bytes on one multiplexed connection of \
        redis-rs, not decoded; one call at a time, and 64 tasks, all on one thread",
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
    let count = stage.pace.hits;
    single(&instance, &raw, &origin, WARM_UP).await?;
    let single = single(&instance, &raw, &origin, count).await?;
    let parallel = parallel(&instance, &raw, &origin, 10 * count).await?;
    if origin.loads() != 1 {
        return Err(format!("{} loads, so these were not hits", origin.loads()).into());
    }
    Ok(vec![Fact::ratio("single {}", single), Fact::ratio("64 in flight {}", parallel)])
}

/// The ratio of the median times of a hit and of a raw command, in alternation.
async fn single(
    instance: &Arc<dyn Instance>,
    raw: &MultiplexedConnection,
    origin: &Arc<Origin>,
    count: usize,
) -> Result<f64> {
    let (mut hits, mut gets) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        hits.push(time_hits(instance, origin, 1, 1).await?);
        gets.push(time_gets(raw, 1, 1).await?);
    }
    Ok(ratio(median(hits), median(gets)))
}

/// The ratio of the times of hits and of raw commands by many tasks, in alternation.
async fn parallel(
    instance: &Arc<dyn Instance>,
    raw: &MultiplexedConnection,
    origin: &Arc<Origin>,
    count: usize,
) -> Result<f64> {
    let (mut hits, mut gets) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        hits += time_hits(instance, origin, IN_FLIGHT, count / TURNS).await?;
        gets += time_gets(raw, IN_FLIGHT, count / TURNS).await?;
    }
    Ok(ratio(hits, gets))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn ratio(time: Duration, baseline: Duration) -> f64 {
    time.as_secs_f64() / baseline.as_secs_f64()
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

/// The time of `count` hits, by `tasks` tasks.
async fn time_hits(
    instance: &Arc<dyn Instance>,
    origin: &Arc<Origin>,
    tasks: usize,
    count: usize,
) -> Result<Duration> {
    let task = || {
        let (instance, origin) = (Arc::clone(instance), Arc::clone(origin));
        async move {
            for _ in 0..count / tasks {
                instance.get(1, &origin).await?;
            }
            Ok(())
        }
    };
    time(repeat_with(task).take(tasks)).await
}

/// The time of `count` raw commands, by `tasks` tasks.
async fn time_gets(raw: &MultiplexedConnection, tasks: usize, count: usize) -> Result<Duration> {
    let task = || {
        let mut raw = raw.clone();
        async move {
            for _ in 0..count / tasks {
                std::hint::black_box(raw.get::<_, Vec<u8>>(RAW_KEY).await?);
            }
            Ok(())
        }
    };
    time(repeat_with(task).take(tasks)).await
}

/// The time until all of these tasks have ended.
async fn time<F>(tasks: impl Iterator<Item = F>) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let start = Instant::now();
    let mut running: JoinSet<Result<()>> = tasks.collect();
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(start.elapsed())
}

const MISSES_AT_ONCE: usize = 1_000;
const MISS_LOAD_TIME: Duration = Duration::from_millis(20);
/// Crowds per round, whose times are added.
const CROWDS: u64 = 5;

pub const MISSES: Trial = Trial {
    name: "1,000 misses of a key at once, as a ratio to a hand-written single-flight",
    settings: "time beyond the origin's 20 ms on one thread, five crowds a round; the single-flight is a \
        map of shared futures around `GET`, load and `SET PX`, without memory",
    kind: Kind::Noisy,
    run: |stage| Box::pin(misses_at_once(stage)),
};

async fn misses_at_once(stage: &Stage) -> Result<Vec<Fact>> {
    let contestant = stage.connect().await?;
    let baseline = SingleFlight::connect(&stage.redis.url()).await?;
    let (mut time, mut baseline_time) = (Duration::ZERO, Duration::ZERO);
    for id in 0..CROWDS {
        time += miss(&contestant, id, stage.pace.limit).await?;
        // Another id, as both store their rows in the same Redis.
        baseline_time += miss(&baseline, CROWDS + id, stage.pace.limit).await?;
    }
    Ok(vec![Fact::ratio("{}", ratio(time, baseline_time))])
}

/// The time of a crowd beyond that of one load.
async fn miss(instance: &Arc<dyn Instance>, id: u64, limit: Duration) -> Result<Duration> {
    let origin = Origin::new(MISS_LOAD_TIME);
    let crowd = crowd(instance, repeat_n(id, MISSES_AT_ONCE), &origin, limit).await?;
    match crowd.answered() {
        MISSES_AT_ONCE => Ok(crowd.time.saturating_sub(MISS_LOAD_TIME)),
        some => Err(format!("{some} of {MISSES_AT_ONCE} calls were answered").into()),
    }
}
