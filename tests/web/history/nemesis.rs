//! Fault injection: plans generated from the seed, and their execution.

use std::{fmt, thread::sleep, time::Duration};

use rand::{RngExt, rngs::StdRng};
use sqlx::{Connection, SqliteConnection};

use super::world::{PROCESSES, World};
use crate::{faults::assert_no_panic, proxy::Mode};

/// Maximum latency per direction at which Redis counts as reachable: hitrate treats
/// repeated round trips above 100 ms as failures.
const MAX_LATENCY: Duration = Duration::from_millis(40);

/// Interval of the stall detector.
const INTERVAL: Duration = Duration::from_millis(10);
/// Minimum delay of a wake-up that counts as a stall of the machine.
const STALL: Duration = Duration::from_millis(60);

/// A temporary fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Redis is killed, and restarted on the same append-only file.
    RedisKilled,
    /// Redis is suspended, and resumed.
    RedisStopped,
    /// The network to Redis is in this mode.
    Network(Mode),
    /// Every connection to Redis is closed once.
    Cut,
    /// Only the connections that receive invalidation messages are closed.
    TrackingCut,
    /// This hitrate process is killed, and restarted.
    Killed(usize),
    /// Another connection holds an exclusive lock on the database.
    DatabaseLocked,
    /// Every query fails, because the table is renamed.
    DatabaseFails,
    /// Not injected: the machine stalled.
    MachineBusy,
}

impl Fault {
    /// Whether Redis is unreachable or too slow meanwhile.
    pub fn affects_redis(self) -> bool {
        match self {
            Self::Network(Mode::Latency(latency) | Mode::Jitter(latency)) => latency > MAX_LATENCY,
            Self::Network(_) | Self::RedisKilled | Self::RedisStopped | Self::Cut => true,
            Self::MachineBusy => true,
            Self::TrackingCut | Self::Killed(_) | Self::DatabaseLocked | Self::DatabaseFails => {
                false
            }
        }
    }

    /// Whether the invalidation of an edit by `process` may be deferred until the fault
    /// ends.
    pub fn delays_invalidation(self, process: usize) -> bool {
        self.affects_redis() || self == Self::Killed(process)
    }
}

/// A fault that happened. Times are since the start of the run.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub fault: Fault,
    pub start: Duration,
    pub end: Duration,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start.as_millis(), self.end.as_millis());
        write!(f, "{start:7}   – {end:7}   ms  {:?}", self.fault)
    }
}

/// Consecutive faults: the pause before each, the fault, and its duration.
pub type Plan = Vec<(Duration, Fault, Duration)>;

/// Generates the plans of a run, which are executed concurrently.
pub type Planner = fn(&mut StdRng, Duration) -> Vec<Plan>;

/// All faults: one plan for Redis and the network, and one for the processes and the
/// database.
pub fn everything(rng: &mut StdRng, length: Duration) -> Vec<Plan> {
    let redis = plan(rng, length, 50..=500, |rng| match rng.random_range(0..8) {
        0 => Fault::RedisKilled,
        1 => Fault::RedisStopped,
        2 => Fault::Network(Mode::Freeze),
        3 => Fault::Network(Mode::HalfOpen),
        4 => Fault::Network(Mode::Latency(ms(rng, 1..=300))),
        5 => Fault::Network(Mode::Jitter(ms(rng, 1..=60))),
        6 => Fault::Cut,
        _ => Fault::TrackingCut,
    });
    let processes = plan(rng, length, 200..=1_200, |rng| match rng.random_range(0..3) {
        0 => Fault::Killed(rng.random_range(0..PROCESSES)),
        1 => Fault::DatabaseFails,
        _ => Fault::DatabaseLocked,
    });
    vec![redis, processes]
}

/// Faults during which Redis stays reachable, so that the strict guarantee applies.
pub fn redis_reachable(rng: &mut StdRng, length: Duration) -> Vec<Plan> {
    let network = plan(rng, length, 50..=1_000, |rng| match rng.random_range(0..3) {
        0 => Fault::Network(Mode::Jitter(MAX_LATENCY)),
        1 => Fault::Network(Mode::Latency(MAX_LATENCY / 2)),
        _ => Fault::TrackingCut,
    });
    let mut plans = vec![network];
    plans.extend(everything(rng, length).pop());
    plans
}

/// Network jitter, so that messages on different connections arrive out of order.
pub fn jitter(rng: &mut StdRng, length: Duration) -> Vec<Plan> {
    vec![plan(rng, length, 1..=20, |rng| {
        Fault::Network(Mode::Jitter(ms(rng, 10..=MAX_LATENCY.as_millis() as u64)))
    })]
}

/// All processes are killed at once, shortly before the end of the run.
pub fn kill_all_at_end(_: &mut StdRng, length: Duration) -> Vec<Plan> {
    let last = length - Duration::from_millis(50);
    (0..PROCESSES).map(|process| vec![(last, Fault::Killed(process), Duration::ZERO)]).collect()
}

/// The database is locked until well after the end of the run.
pub fn lock_at_end(_: &mut StdRng, length: Duration) -> Vec<Plan> {
    let (before, after) = (Duration::from_millis(300), Duration::from_millis(800));
    vec![vec![(length - before, Fault::DatabaseLocked, before + after)]]
}

fn plan(
    rng: &mut StdRng,
    length: Duration,
    pauses: std::ops::RangeInclusive<u64>,
    fault: impl Fn(&mut StdRng) -> Fault,
) -> Plan {
    let mut left = length;
    let mut plan = Plan::new();
    loop {
        let step = (ms(rng, pauses.clone()), fault(rng), ms(rng, 100..=700));
        let Some(rest) = left.checked_sub(step.0 + step.2) else { return plan };
        plan.push(step);
        left = rest;
    }
}

fn ms(rng: &mut StdRng, range: std::ops::RangeInclusive<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

/// Executes the plan, and returns the outages. Every fault is repaired when its
/// duration is over.
pub fn execute(plan: &Plan, world: &World) -> Vec<Outage> {
    plan.iter()
        .map(|(pause, fault, length)| {
            sleep(*pause);
            let start = world.now();
            inject(*fault, *length, world);
            Outage { fault: *fault, start, end: world.now() }
        })
        .collect()
}

fn inject(fault: Fault, length: Duration, world: &World) {
    match fault {
        Fault::RedisKilled => {
            let mut redis = world.redis.lock().unwrap();
            redis.kill();
            sleep(length);
            redis.restart();
        }
        Fault::RedisStopped => {
            let redis = world.redis.lock().unwrap();
            redis.freeze();
            sleep(length);
            redis.thaw();
        }
        Fault::Network(mode) => {
            world.proxy.set(mode);
            sleep(length);
            world.proxy.set(Mode::Pass);
        }
        Fault::Cut => drop(world.proxy.cut()),
        Fault::TrackingCut => drop(world.proxy.cut_tracking()),
        Fault::Killed(process) => {
            let killed = world.process(process);
            assert_no_panic(&killed);
            killed.signal("KILL");
            sleep(length);
            world.restart(process);
        }
        Fault::DatabaseLocked => between(world, "BEGIN EXCLUSIVE", length, "ROLLBACK"),
        Fault::DatabaseFails => {
            let away = "ALTER TABLE profiles RENAME TO profiles_away";
            between(world, away, length, "ALTER TABLE profiles_away RENAME TO profiles");
        }
        Fault::MachineBusy => (),
    }
}

/// Records stalls of the machine until `end`: they affect hitrate and Redis as well.
pub fn detect_stalls(world: &World, end: Duration) -> Vec<Outage> {
    let mut stalls = Vec::new();
    while world.now() < end {
        let start = world.now();
        sleep(INTERVAL);
        let end = world.now();
        if end - start > INTERVAL + STALL {
            stalls.push(Outage { fault: Fault::MachineBusy, start, end });
        }
    }
    stalls
}

/// Executes one SQL statement, and another one after `length`.
fn between(world: &World, first: &'static str, length: Duration, then: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut other = SqliteConnection::connect(&world.database_url()).await.unwrap();
        sqlx::query(first).execute(&mut other).await.unwrap();
        tokio::time::sleep(length).await;
        sqlx::query(then).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
    });
}
