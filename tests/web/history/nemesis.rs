//! What is broken during a run, when, and how it is mended: a plan made from
//! the seed, and the one who carries it out.

use std::{fmt, thread::sleep, time::Duration};

use rand::{RngExt, rngs::StdRng};
use sqlx::{Connection, SqliteConnection};

use super::world::{PROCESSES, REDIS, World};
use crate::{faults::assert_no_panic, proxy::Mode};

/// A network that is slower than this, each way, is as good as none: hitrate
/// gives up what takes longer than 100 ms again and again.
const BEARABLE: Duration = Duration::from_millis(40);

/// Between two looks at the clock.
const PULSE: Duration = Duration::from_millis(10);
/// So late a look says that the machine is busy.
const BUSY: Duration = Duration::from_millis(60);

/// Something that breaks, for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// Redis is killed, and started again on the same append-only file.
    RedisKilled,
    /// Redis is stopped, and goes on.
    RedisStopped,
    /// The network to Redis is like this.
    Network(Mode),
    /// Every connection to Redis is cut, once.
    Cut,
    /// Only the connections that hear of invalidations are cut.
    TrackingCut,
    /// This process is killed, and started again.
    Killed(usize),
    /// Somebody else writes to the database and takes long.
    DatabaseLocked,
    /// Whatever the database is asked for fails: its table is not there.
    DatabaseFails,
    /// Nobody broke it: the machine had no time for us.
    MachineBusy,
}

impl Fault {
    /// Whether nobody, or nobody in time, can speak with Redis.
    pub fn is_about_redis(self) -> bool {
        match self {
            Self::Network(Mode::Latency(latency) | Mode::Jitter(latency)) => latency > BEARABLE,
            Self::Network(_) | Self::RedisKilled | Self::RedisStopped | Self::Cut => true,
            Self::MachineBusy => true,
            Self::TrackingCut | Self::Killed(_) | Self::DatabaseLocked | Self::DatabaseFails => {
                false
            }
        }
    }

    /// Whether an edit made through `process` may wait for this to end before
    /// Redis is told.
    pub fn keeps_from_redis(self, process: usize) -> bool {
        self.is_about_redis() || self == Self::Killed(process)
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

/// What to break after which pause, and for how long: one thing after the other.
pub type Plan = Vec<(Duration, Fault, Duration)>;

/// Makes the plans of a run; they are carried out side by side.
pub type Planner = fn(&mut StdRng, Duration) -> Vec<Plan>;

/// Whatever can break: what lies between the processes and Redis, and
/// meanwhile the processes and their database.
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

/// Redis stays, and can be reached: the slightest window is seen.
pub fn all_but_redis(rng: &mut StdRng, length: Duration) -> Vec<Plan> {
    let network = plan(rng, length, 50..=1_000, |rng| match rng.random_range(0..3) {
        0 => Fault::Network(Mode::Jitter(BEARABLE)),
        1 => Fault::Network(Mode::Latency(BEARABLE / 2)),
        _ => Fault::TrackingCut,
    });
    let mut plans = vec![network];
    plans.extend(everything(rng, length).pop());
    plans
}

/// A network on which messages overtake each other.
pub fn jitter(rng: &mut StdRng, length: Duration) -> Vec<Plan> {
    vec![plan(rng, length, 1..=20, |rng| {
        Fault::Network(Mode::Jitter(ms(rng, 10..=BEARABLE.as_millis() as u64)))
    })]
}

/// All processes die at once, at the end, in the middle of it all.
pub fn death_of_all(_: &mut StdRng, length: Duration) -> Vec<Plan> {
    let last = length - Duration::from_millis(50);
    (0..PROCESSES).map(|process| vec![(last, Fault::Killed(process), Duration::ZERO)]).collect()
}

/// Somebody else keeps the database, to well beyond the end.
pub fn locked_at_last(_: &mut StdRng, length: Duration) -> Vec<Plan> {
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

/// Carries the plan out, and tells what happened when. Whatever was broken is
/// mended at the end.
pub fn carry_out(plan: &Plan, world: &World) -> Vec<Outage> {
    plan.iter()
        .map(|(pause, fault, length)| {
            sleep(*pause);
            let start = world.now();
            happen(*fault, *length, world);
            Outage { fault: *fault, start, end: world.now() }
        })
        .collect()
}

fn happen(fault: Fault, length: Duration, world: &World) {
    match fault {
        Fault::RedisKilled => {
            let mut redis = world.redis.lock().unwrap();
            redis.kill();
            sleep(length);
            redis.restart(REDIS);
        }
        Fault::RedisStopped => {
            let redis = world.redis.lock().unwrap();
            redis.signal("STOP");
            sleep(length);
            redis.signal("CONT");
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
            world.start_again(process);
        }
        Fault::DatabaseLocked => between(world, "BEGIN EXCLUSIVE", length, "ROLLBACK"),
        Fault::DatabaseFails => {
            let away = "ALTER TABLE profiles RENAME TO profiles_away";
            between(world, away, length, "ALTER TABLE profiles_away RENAME TO profiles");
        }
        Fault::MachineBusy => (),
    }
}

/// Notices until `end` when the machine has no time for us: then it had none for
/// hitrate and Redis either.
pub fn feel_the_pulse(world: &World, end: Duration) -> Vec<Outage> {
    let mut stalls = Vec::new();
    while world.now() < end {
        let start = world.now();
        sleep(PULSE);
        let end = world.now();
        if end - start > PULSE + BUSY {
            stalls.push(Outage { fault: Fault::MachineBusy, start, end });
        }
    }
    stalls
}

/// Does one thing to the database, and after `length` the other.
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
