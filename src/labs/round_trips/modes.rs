//! Commands in four send modes, in rounds: each round includes every mode once,
//! so that other load on the machine affects all modes alike.

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

/// Number of rounds, unless time runs out.
const ROUNDS: usize = 5;
/// No round starts after this time, because the client is waiting.
const BEGUN_WITHIN: Duration = Duration::from_secs(7);
/// Maximum duration of one mode in one round.
pub const MAX_DURATION: Duration = Duration::from_secs(1);
/// The tutorial's batch size.
const BATCH: usize = 100;
/// TTL of the keys, should they not be removed, in seconds.
const KEY_TTL_S: u64 = 300;
/// The tutorial's example value.
const VALUE: &str = "aB3xK9mP";

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Writes a value.
    Set,
    /// Reads it.
    Get,
}

/// How the commands are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SendMode {
    /// Each command waits for the reply to the previous one.
    Singly,
    /// A hundred commands at a time, then their replies.
    ByHundred,
    /// All commands, then all replies.
    OnePipeline,
    /// One task per command, all concurrently, on one connection.
    AtOnce,
}

impl Verb {
    /// In the order of the rounds: keys are written before they are read.
    pub const ALL: [Self; 2] = [Self::Set, Self::Get];

    /// The name of the command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Get => "GET",
        }
    }
}

impl SendMode {
    /// All modes, the slowest first.
    pub const ALL: [Self; 4] = [Self::Singly, Self::ByHundred, Self::OnePipeline, Self::AtOnce];

    /// The title on pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Singly => "sequential",
            Self::ByHundred => "pipelines of 100",
            Self::OnePipeline => "one pipeline",
            Self::AtOnce => "concurrent",
        }
    }

    /// A description of one sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Singly => "Each command waits for the reply to the previous one.",
            Self::ByHundred => "A hundred commands are sent together, then their replies are read.",
            Self::OnePipeline => "All commands are sent together, then all replies are read.",
            Self::AtOnce => {
                "One task per command, all concurrently; the driver multiplexes them on one connection."
            }
        }
    }
}

/// One command in one send mode.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoundTripRow {
    /// The command.
    pub verb: Verb,
    /// The send mode.
    pub mode: SendMode,
    /// Completed commands per round, the minimum of all rounds.
    pub commands: u64,
    /// Time per command, over all rounds.
    pub each: Spread,
    /// Time per command in each round, in nanoseconds.
    pub rounds_ns: Vec<u64>,
    /// Speedup over sequential commands: the median of the rounds.
    pub times: f64,
    /// The minimum and maximum speedup.
    pub times_range: [f64; 2],
}

/// One mode in one round.
struct Round {
    done: usize,
    took: Duration,
}

/// Measures every command in every mode.
pub async fn measure(
    connection: &DedicatedConnection,
    bench: &Bench,
) -> Result<Vec<RoundTripRow>, RedisError> {
    let since = Instant::now();
    let mut series: Vec<(Verb, SendMode, Vec<Round>)> = Vec::new();
    for verb in Verb::ALL {
        series.extend(SendMode::ALL.map(|mode| (verb, mode, Vec::new())));
    }
    // Warm-up: the first commands allocate memory and fill caches.
    round(connection, bench, Verb::Set, SendMode::OnePipeline).await?;
    for _ in 0..ROUNDS {
        for (verb, mode, rounds) in &mut series {
            rounds.push(round(connection, bench, *verb, *mode).await?);
        }
        if since.elapsed() > BEGUN_WITHIN {
            break;
        }
    }
    Ok(rows(series))
}

fn rows(series: Vec<(Verb, SendMode, Vec<Round>)>) -> Vec<RoundTripRow> {
    let mut singly = Vec::new();
    let row = |(verb, mode, rounds): (Verb, SendMode, Vec<Round>)| {
        let rounds_ns: Vec<_> = rounds.iter().map(Round::each).collect();
        if mode == SendMode::Singly {
            singly.clone_from(&rounds_ns);
        }
        let pairs = singly.iter().zip(&rounds_ns);
        let ratios: Vec<_> = pairs.map(|(one, it)| *one as f64 / (*it).max(1) as f64).collect();
        let (times, min, max) = spread::of_ratios(&ratios).unwrap_or_default();
        RoundTripRow {
            verb,
            mode,
            commands: rounds.iter().map(|round| round.done as u64).min().unwrap_or_default(),
            each: Spread::of(&rounds_ns),
            rounds_ns,
            times: rounded(times),
            times_range: [rounded(min), rounded(max)],
        }
    };
    series.into_iter().map(row).collect()
}

/// Rounds to two decimals.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

impl Round {
    /// Nanoseconds per command.
    fn each(&self) -> u64 {
        spread::nanos(self.took) / (self.done.max(1) as u64)
    }
}

async fn round(
    connection: &DedicatedConnection,
    bench: &Bench,
    verb: Verb,
    mode: SendMode,
) -> Result<Round, RedisError> {
    let commands: Vec<_> = (0..bench.plan.count).map(|n| command(bench, verb, n)).collect();
    let (count, start) = (commands.len(), Instant::now());
    let done = match mode {
        SendMode::Singly => singly(connection, &commands, start).await?,
        SendMode::ByHundred => pipelined(connection, commands, BATCH, start).await?,
        SendMode::OnePipeline => pipelined(connection, commands, count, start).await?,
        SendMode::AtOnce => at_once(connection, commands).await?,
    };
    Ok(Round { done, took: start.elapsed() })
}

fn command(bench: &Bench, verb: Verb, n: usize) -> Command {
    let key = bench.demo.key(&format!("set:{n}"));
    match verb {
        Verb::Set => bench.store.on("SET", &key).arg(VALUE).arg("EX").arg(KEY_TTL_S),
        Verb::Get => bench.store.on("GET", &key),
    }
}

async fn singly(
    connection: &DedicatedConnection,
    commands: &[Command],
    start: Instant,
) -> Result<usize, RedisError> {
    let mut connection = connection.clone();
    for (n, command) in commands.iter().enumerate() {
        connection.run(command).await?;
        if start.elapsed() > MAX_DURATION {
            return Ok(n + 1);
        }
    }
    Ok(commands.len())
}

async fn pipelined(
    connection: &DedicatedConnection,
    mut commands: Vec<Command>,
    batch: usize,
    start: Instant,
) -> Result<usize, RedisError> {
    let (mut connection, mut done) = (connection.clone(), 0);
    while !commands.is_empty() && start.elapsed() <= MAX_DURATION {
        let rest = commands.split_off(commands.len().min(batch));
        let answers = connection
            .pipeline_raw(std::mem::replace(&mut commands, rest), &Trace::disabled())
            .await?;
        done += answers.replies.len();
        let refused = answers.replies.into_iter().find_map(Result::err);
        if let Some(refusal) = refused {
            return Err(refusal.error);
        }
    }
    Ok(done)
}

async fn at_once(
    connection: &DedicatedConnection,
    commands: Vec<Command>,
) -> Result<usize, RedisError> {
    let mut tasks = JoinSet::<Result<Value, RedisError>>::new();
    for command in commands {
        let mut connection = connection.clone();
        tasks.spawn(async move { connection.run(&command).await });
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

    fn rounds(took_us: &[u64]) -> Vec<Round> {
        let round = |us: &u64| Round { done: 10, took: Duration::from_micros(*us) };
        took_us.iter().map(round).collect()
    }

    #[test]
    fn a_ratio_compares_modes_of_the_same_round_and_command() {
        let rows = rows(vec![
            (Verb::Set, SendMode::Singly, rounds(&[100, 400, 100])),
            (Verb::Set, SendMode::AtOnce, rounds(&[10, 20, 50])),
            (Verb::Get, SendMode::Singly, rounds(&[50, 50, 50])),
            (Verb::Get, SendMode::AtOnce, rounds(&[50, 25, 100])),
        ]);
        assert_eq!((rows[0].times, rows[0].times_range), (1.0, [1.0, 1.0]));
        assert_eq!((rows[1].times, rows[1].times_range), (10.0, [2.0, 20.0]));
        assert_eq!((rows[3].times, rows[3].times_range), (1.0, [0.5, 2.0]));
        assert_eq!((rows[0].each.median_ns, rows[0].each.max_ns), (10_000, 40_000));
        assert_eq!(rows[0].commands, 10);
    }
}
