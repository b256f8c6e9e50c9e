//! The same commands by four ways, in rounds: each round has every way once, so
//! that whatever else the machine does meanwhile falls on all alike.

use std::time::{Duration, Instant};

use hitrate_cache::{
    redis::{Command, DedicatedConnection, RedisError, Value},
    trace::Trace,
};
use serde::Serialize;
use tokio::task::JoinSet;
use utoipa::ToSchema;

use super::{
    Bench,
    spread::{self, Spread},
};

/// Rounds, unless time runs out.
const ROUNDS: usize = 5;
/// No round is begun later: who waits for the answer won't wait much longer.
const BEGUN_WITHIN: Duration = Duration::from_secs(7);
/// One turn by one way takes no longer, whatever is left to do.
pub const MAX_DURATION: Duration = Duration::from_secs(1);
/// The documents' batch.
const BATCH: usize = 100;
/// How long the keys stay if they are not removed, in seconds.
const KEPT: u64 = 300;
/// The documents' example of a value.
const VALUE: &str = "aB3xK9mP";

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Writes a value.
    Set,
    /// Reads it.
    Get,
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SendMode {
    /// Each command waits for the reply to the one before.
    Singly,
    /// A hundred at a time, then their replies.
    ByHundred,
    /// All of them, then their replies.
    OnePipeline,
    /// A task for each, all at the same time, on one connection.
    AtOnce,
}

impl Verb {
    /// In the order of the rounds: what is read was written.
    pub const ALL: [Self; 2] = [Self::Set, Self::Get];

    /// As it is sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Get => "GET",
        }
    }
}

impl SendMode {
    /// The slowest first.
    pub const ALL: [Self; 4] = [Self::Singly, Self::ByHundred, Self::OnePipeline, Self::AtOnce];

    /// In a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Singly => "one after the other",
            Self::ByHundred => "pipelines of 100",
            Self::OnePipeline => "one pipeline",
            Self::AtOnce => "all at once",
        }
    }

    /// What it does, in a sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Singly => "Each command waits for the reply to the one before.",
            Self::ByHundred => {
                "A hundred commands are sent together, then their replies are awaited."
            }
            Self::OnePipeline => "All commands are sent together, then all replies are awaited.",
            Self::AtOnce => {
                "A task for each command, all at the same time; the driver puts what they say on one connection, as it comes."
            }
        }
    }
}

/// One command by one way.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModeResult {
    /// What was sent.
    pub verb: Verb,
    /// How.
    pub mode: SendMode,
    /// Commands that were done in a round, the fewest of all rounds.
    pub commands: u64,
    /// Time for one command, over the rounds.
    pub each: Spread,
    /// The same of each round, in nanoseconds.
    pub rounds_ns: Vec<u64>,
    /// How many times faster than one after the other: the median of the rounds.
    pub times: f64,
    /// The least of them, and the most.
    pub times_range: [f64; 2],
}

/// What one round of one way brought.
struct Turn {
    done: usize,
    took: Duration,
}

/// Every verb by every way.
pub async fn measure(
    call: &DedicatedConnection,
    bench: &Bench,
) -> Result<Vec<ModeResult>, RedisError> {
    let since = Instant::now();
    let mut run_lock: Vec<(Verb, SendMode, Vec<Turn>)> = Vec::new();
    for verb in Verb::ALL {
        run_lock.extend(SendMode::ALL.map(|mode| (verb, mode, Vec::new())));
    }
    // The first of all commands pays for memory and caches.
    turn(call, bench, Verb::Set, SendMode::OnePipeline).await?;
    for _ in 0..ROUNDS {
        for (verb, mode, taken) in &mut run_lock {
            taken.push(turn(call, bench, *verb, *mode).await?);
        }
        if since.elapsed() > BEGUN_WITHIN {
            break;
        }
    }
    Ok(rows(run_lock))
}

fn rows(run_lock: Vec<(Verb, SendMode, Vec<Turn>)>) -> Vec<ModeResult> {
    let mut singly = Vec::new();
    let row = |(verb, mode, run_lock): (Verb, SendMode, Vec<Turn>)| {
        let rounds_ns: Vec<_> = run_lock.iter().map(Turn::each).collect();
        if mode == SendMode::Singly {
            singly.clone_from(&rounds_ns);
        }
        let pairs = singly.iter().zip(&rounds_ns);
        let ratios: Vec<_> = pairs.map(|(one, it)| *one as f64 / (*it).max(1) as f64).collect();
        let (times, min, max) = spread::of_ratios(&ratios).unwrap_or_default();
        ModeResult {
            verb,
            mode,
            commands: run_lock.iter().map(|turn| turn.done as u64).min().unwrap_or_default(),
            each: Spread::of(&rounds_ns),
            rounds_ns,
            times: rounded(times),
            times_range: [rounded(min), rounded(max)],
        }
    };
    run_lock.into_iter().map(row).collect()
}

/// To two digits behind the point.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

impl Turn {
    /// Nanoseconds for one command.
    fn each(&self) -> u64 {
        spread::nanos(self.took) / (self.done.max(1) as u64)
    }
}

async fn turn(
    call: &DedicatedConnection,
    bench: &Bench,
    verb: Verb,
    mode: SendMode,
) -> Result<Turn, RedisError> {
    let commands: Vec<_> = (0..bench.plan.count).map(|n| command(bench, verb, n)).collect();
    let (count, start) = (commands.len(), Instant::now());
    let done = match mode {
        SendMode::Singly => singly(call, &commands, start).await?,
        SendMode::ByHundred => pipelined(call, commands, BATCH, start).await?,
        SendMode::OnePipeline => pipelined(call, commands, count, start).await?,
        SendMode::AtOnce => at_once(call, commands).await?,
    };
    Ok(Turn { done, took: start.elapsed() })
}

fn command(bench: &Bench, verb: Verb, n: usize) -> Command {
    let key = bench.demo.key(&format!("set:{n}"));
    match verb {
        Verb::Set => bench.store.on("SET", &key).arg(VALUE).arg("EX").arg(KEPT),
        Verb::Get => bench.store.on("GET", &key),
    }
}

async fn singly(
    call: &DedicatedConnection,
    commands: &[Command],
    start: Instant,
) -> Result<usize, RedisError> {
    let mut call = call.clone();
    for (n, command) in commands.iter().enumerate() {
        call.run(command).await?;
        if start.elapsed() > MAX_DURATION {
            return Ok(n + 1);
        }
    }
    Ok(commands.len())
}

async fn pipelined(
    call: &DedicatedConnection,
    mut commands: Vec<Command>,
    batch: usize,
    start: Instant,
) -> Result<usize, RedisError> {
    let (mut call, mut done) = (call.clone(), 0);
    while !commands.is_empty() && start.elapsed() <= MAX_DURATION {
        let rest = commands.split_off(commands.len().min(batch));
        let answers =
            call.pipeline_raw(std::mem::replace(&mut commands, rest), &Trace::disabled()).await?;
        done += answers.replies.len();
        let refused = answers.replies.into_iter().find_map(Result::err);
        if let Some(refusal) = refused {
            return Err(refusal.error);
        }
    }
    Ok(done)
}

async fn at_once(call: &DedicatedConnection, commands: Vec<Command>) -> Result<usize, RedisError> {
    let mut tasks = JoinSet::<Result<Value, RedisError>>::new();
    for command in commands {
        let mut call = call.clone();
        tasks.spawn(async move { call.run(&command).await });
    }
    let mut done = 0;
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|_| RedisError::Unreachable)??;
        done += 1;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_lock(took_us: &[u64]) -> Vec<Turn> {
        let turn = |us: &u64| Turn { done: 10, took: Duration::from_micros(*us) };
        took_us.iter().map(turn).collect()
    }

    #[test]
    fn a_ratio_compares_turns_of_the_same_round_and_verb() {
        let rows = rows(vec![
            (Verb::Set, SendMode::Singly, run_lock(&[100, 400, 100])),
            (Verb::Set, SendMode::AtOnce, run_lock(&[10, 20, 50])),
            (Verb::Get, SendMode::Singly, run_lock(&[50, 50, 50])),
            (Verb::Get, SendMode::AtOnce, run_lock(&[50, 25, 100])),
        ]);
        assert_eq!((rows[0].times, rows[0].times_range), (1.0, [1.0, 1.0]));
        assert_eq!((rows[1].times, rows[1].times_range), (10.0, [2.0, 20.0]));
        assert_eq!((rows[3].times, rows[3].times_range), (1.0, [0.5, 2.0]));
        assert_eq!((rows[0].each.median_ns, rows[0].each.max_ns), (10_000, 40_000));
        assert_eq!(rows[0].commands, 10);
    }
}
