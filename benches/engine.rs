//! Compares the cache layer with raw Redis commands, in one process on one
//! connection. Contestants are measured in turn; each ratio is the median of all
//! rounds, with minimum and maximum.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    error::Error,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hitrate::{
    demo::{keys, model::Profile, policy::Policy},
    ops::metrics::Metrics,
};
use hitrate_cache::{Cache, Namespace, Refresh, Versioned, redis::Address, trace::Trace};
use redis::aio::MultiplexedConnection;
use rustix::time::{ClockId, clock_gettime};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Measurements of each contestant.
const ROUNDS: usize = 9;
/// Operations per measurement.
const COUNT: usize = 40_000;
/// Concurrent operations, as under load in one worker.
const CONCURRENCY: usize = 64;
const PREFIX: &str = "bench:";
/// Maximum ratio of the time of a hit to that of a raw GET, at [`CONCURRENCY`].
const MAX_HIT_RATIO: f64 = 1.6;
const RAW: &str = "raw GET";
const HIT: &str = "fetch with every protection";

#[derive(Debug, thiserror::Error)]
#[error("the origin never fails")]
struct Never;

/// A redis-server on a Unix socket in a temporary directory, killed on drop.
struct Server {
    child: Child,
    dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()?;
        while !dir.path().join("redis.sock").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, dir })
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("redis.sock")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The connections and caches that the contestants use.
#[derive(Clone)]
struct Bench {
    raw: MultiplexedConnection,
    /// With every protection, without the near cache.
    profiles: Namespace<Profile>,
    near: Namespace<Profile>,
}

impl Bench {
    async fn start(socket: &Path) -> Result<Self> {
        let client = redis::Client::open(format!("redis+unix://{}", socket.display()))?;
        let raw = client.get_multiplexed_async_connection().await?;
        let policy = Policy::DEFAULT.cache.refresh(Refresh::Off);
        let profiles = cache(socket).await?.namespace(keys::PROFILE, policy);
        let near = Policy::named("near-cache").expect("a preset").cache;
        let near = cache(socket).await?.namespace(keys::PROFILE, near);
        let bench = Self { raw, profiles, near };
        while !bench.near.cache().health().is_tracking {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..10 {
            bench.hit(&Trace::disabled()).await;
            bench.near_hit().await;
        }
        Ok(bench)
    }

    async fn get(&self) -> usize {
        let name = format!("{PREFIX}profile:123");
        let bytes: Vec<u8> =
            redis::cmd("GET").arg(name).query_async(&mut self.raw.clone()).await.expect("a GET");
        bytes.len()
    }

    async fn get_and_decode(&self) -> usize {
        let name = format!("{PREFIX}profile:123");
        let bytes: Vec<u8> =
            redis::cmd("GET").arg(name).query_async(&mut self.raw.clone()).await.expect("a GET");
        let value = bytes.split(|byte| *byte == b'\n').nth(1).expect("a header and a value");
        let profile: Profile = serde_json::from_slice(value).expect("a profile");
        profile.name.len()
    }

    async fn hit(&self, trace: &Trace) -> usize {
        fetch(&self.profiles.clone().traced(trace), "123").await
    }

    async fn near_hit(&self) -> usize {
        fetch(&self.near, "123").await
    }
}

async fn cache(socket: &Path) -> Result<Cache> {
    let builder = Cache::builder_at(&Address::unix(socket)).prefix(PREFIX);
    let cache = builder.observer(Metrics::default()).build()?;
    cache.ready(Duration::from_secs(5)).await?;
    Ok(cache)
}

async fn fetch(profiles: &Namespace<Profile>, id: &str) -> usize {
    let owned = id.to_owned();
    let load = async move { Ok::<_, Never>(Versioned { value: profile(&owned), version: 1 }) };
    let found = profiles.get(id, load).await.expect("a value");
    found.map_or(0, |profile| profile.name.len())
}

fn profile(id: &str) -> Profile {
    let (name, email) = ("Shaunak Dhande".to_owned(), "shaunak.dhande@example.com".to_owned());
    Profile { user_id: id.to_owned(), name, email, age: 22 }
}

/// Time of one measurement.
#[derive(Clone, Copy)]
struct Turn {
    /// Wall-clock time.
    wall: Duration,
    /// CPU time of this thread, which runs everything except Redis.
    cpu: Duration,
}

async fn turn<F: Future>(work: impl FnOnce() -> F) -> Turn {
    let (start, before) = (Instant::now(), cpu());
    work().await;
    Turn { wall: start.elapsed(), cpu: cpu() - before }
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Runs `count` operations, `at_once` of them concurrently.
async fn many<F: Future>(count: usize, at_once: usize, operation: impl Fn() -> F) {
    let lane = || async {
        for _ in 0..count / at_once {
            operation().await;
        }
    };
    join_all((0..at_once).map(|_| lane())).await;
}

/// The measurements of several contestants on one task, by name.
struct Comparison {
    title: &'static str,
    per: usize,
    turns: Vec<(&'static str, Vec<Turn>)>,
}

impl Comparison {
    fn new(title: &'static str, per: usize) -> Self {
        Self { title, per, turns: Vec::new() }
    }

    fn add(&mut self, name: &'static str, turn: Turn) {
        match self.turns.iter_mut().find(|(it, _)| *it == name) {
            Some((_, turns)) => turns.push(turn),
            None => self.turns.push((name, vec![turn])),
        }
    }

    /// Prints a table, with ratios to the first contestant.
    fn print(&self) {
        println!("{}", self.title);
        println!(
            "  {:<44}{:>10}{:>10}  {:<22}{:<22}",
            "", "wall µs", "CPU µs", "wall ratio", "CPU ratio"
        );
        let base = &self.turns[0].1;
        for (name, turns) in &self.turns {
            let each = |figure: fn(&Turn) -> Duration| {
                median(turns.iter().map(|it| figure(it).as_secs_f64() * 1e6 / self.per as f64))
            };
            println!(
                "  {name:<44}{:>10.2}{:>10.2}  {:<22}{:<22}",
                each(|it| it.wall),
                each(|it| it.cpu),
                ratio(turns, base, |it| it.wall),
                ratio(turns, base, |it| it.cpu),
            );
        }
        println!();
    }

    /// The verdict on a contestant: its ratio to the first must not exceed `max`.
    fn judge(&self, name: &str, max: f64) -> String {
        let base = &self.turns[0].1;
        let turns = self.turns.iter().find(|(it, _)| *it == name).map_or(base, |(_, it)| it);
        let middle = median(ratios(turns, base, |it| it.wall).into_iter());
        let met = if middle <= max { "met" } else { "NOT MET" };
        let what =
            format!("engine: a hit compared with a {}, {CONCURRENCY} in flight", self.turns[0].0);
        let measured = ratio(turns, base, |it| it.wall);
        format!("{met:<8}{what:<66}{measured:<22}at most {max}")
    }
}

fn ratios(turns: &[Turn], base: &[Turn], figure: fn(&Turn) -> Duration) -> Vec<f64> {
    let of = |(turn, base): (&Turn, &Turn)| figure(turn).as_secs_f64() / figure(base).as_secs_f64();
    turns.iter().zip(base).map(of).collect()
}

fn ratio(turns: &[Turn], base: &[Turn], figure: fn(&Turn) -> Duration) -> String {
    let ratios = ratios(turns, base, figure);
    let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let max = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({min:.2}..{max:.2})", median(ratios.into_iter()))
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures hits, and returns the verdict.
async fn hits(bench: &Bench) -> String {
    let alone = "Sequential hits on one connection, per operation";
    hits_at_once(bench, alone, COUNT / 8, 1).await.print();
    let busy = "64 concurrent hits on one connection, per operation";
    let busy = hits_at_once(bench, busy, COUNT, CONCURRENCY).await;
    busy.print();
    busy.judge(HIT, MAX_HIT_RATIO)
}

async fn hits_at_once(
    bench: &Bench,
    title: &'static str,
    count: usize,
    at_once: usize,
) -> Comparison {
    let mut all = Comparison::new(title, count);
    for _ in 0..ROUNDS {
        all.add(RAW, turn(|| many(count, at_once, || bench.get())).await);
        let decoded = || bench.get_and_decode();
        all.add("raw GET and decoding", turn(|| many(count, at_once, decoded)).await);
        let silent = || async { bench.hit(&Trace::disabled()).await };
        all.add(HIT, turn(|| many(count, at_once, silent)).await);
        let recorded = || async { bench.hit(&Trace::start()).await };
        all.add("fetch with a recorded trace", turn(|| many(count, at_once, recorded)).await);
        let near = || bench.near_hit();
        all.add("fetch from the near cache", turn(|| many(count, at_once, near)).await);
    }
    all
}

async fn sets(bench: &Bench) {
    let mut all = Comparison::new("1,000 SETs, per SET", 1_000);
    let name = |n: usize| format!("{PREFIX}set:{n}");
    let value = "x".repeat(200);
    for _ in 0..ROUNDS {
        let singly = || async {
            for n in 0..1_000 {
                set(&bench.raw, &name(n), &value).await;
            }
        };
        all.add("sequential", turn(singly).await);
        let pipelined = || async {
            for hundred in 0..10 {
                let mut pipe = redis::pipe();
                for n in 0..100 {
                    pipe.set(name(hundred * 100 + n), &value).ignore();
                }
                pipe.query_async::<()>(&mut bench.raw.clone()).await.expect("a pipeline");
            }
        };
        all.add("in pipelines of 100", turn(pipelined).await);
        let at_once = || async {
            let sets = (0..1_000).map(|n| {
                let (raw, value) = (bench.raw.clone(), &value);
                async move { set(&raw, &name(n), value).await }
            });
            join_all(sets).await;
        };
        all.add("concurrent on the multiplexed connection", turn(at_once).await);
    }
    all.print();
}

async fn set(raw: &MultiplexedConnection, name: &str, value: &str) {
    let set = redis::cmd("SET").arg(name).arg(value).to_owned();
    set.query_async::<()>(&mut raw.clone()).await.expect("a SET");
}

/// Measures misses with an instant load, so that only the overhead counts.
async fn misses(bench: &Bench) {
    const MISSES: usize = 4_000;
    let title = "Misses of different keys with an instant load, per miss";
    let mut all = Comparison::new(title, MISSES);
    for round in 0..ROUNDS {
        for name in ["cache-aside", "single-flight", "lease", "read-through"] {
            let isolated = Policy::ISOLATED.into_iter().find(|it| it.name == name);
            let policy = Policy::named(name).or(isolated).expect("a preset");
            let profiles = bench.profiles.with(policy.cache);
            let all_miss = || async {
                let ids = (0..MISSES).map(|n| format!("{name}-{round}-{n}"));
                for ids in ids.collect::<Vec<_>>().chunks(CONCURRENCY) {
                    join_all(ids.iter().map(|id| fetch(&profiles, id))).await;
                }
            };
            all.add(name, turn(all_miss).await);
        }
    }
    all.print();
    let mut all = Comparison::new("1,000 concurrent misses of one key, per miss", 1_000);
    for round in 0..ROUNDS {
        for name in ["cache-aside", "single-flight", "read-through"] {
            let isolated = Policy::ISOLATED.into_iter().find(|it| it.name == name);
            let policy = Policy::named(name).or(isolated).expect("a preset");
            let profiles = bench.profiles.with(policy.cache);
            let id = format!("one-{name}-{round}");
            // The bulkhead admits 320 loads, so cache-aside gets no more visitors than that.
            let visitors = if name == "cache-aside" { 320 } else { 1_000 };
            let visit = || join_all((0..visitors).map(|_| fetch(&profiles, &id)));
            let took = turn(visit).await;
            let scale = 1_000 / visitors as u32;
            all.add(name, Turn { wall: took.wall * scale, cpu: took.cpu * scale });
        }
    }
    all.print();
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start()?;
        let bench = Bench::start(&server.socket()).await?;
        let only = std::env::args().nth(1).filter(|it| !it.starts_with('-'));
        let wanted = |name| only.as_deref().is_none_or(|it| it == name);
        let verdict = match wanted("hits") {
            true => Some(hits(&bench).await),
            false => None,
        };
        if wanted("sets") {
            sets(&bench).await;
        }
        if wanted("misses") {
            misses(&bench).await;
        }
        if let Some(verdict) = verdict {
            println!("{verdict}");
        }
        Ok(())
    })
}
