//! Runs trials: each round on a Redis and a runtime of its own.

use std::{thread, time::Duration};

use hitrate_cache::test_util::TestRedis;
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    Result,
    contestants::Contestant,
    fact::{Fact, summarize},
    pace::Pace,
    stage::Stage,
    trials::{Kind, Trial},
};

/// Limit of a round: above all that a trial waits for.
const ROUND_TIMEOUT: Duration = Duration::from_secs(90);

/// Runs a trial and returns a cell per contestant.
pub fn run(trial: &Trial, contestants: &[&'static Contestant], pace: Pace) -> Vec<Result<String>> {
    let cell = |contestant: &&'static Contestant| cell(trial, contestant, pace);
    if trial.kind != Kind::Waiting {
        return contestants.iter().map(cell).collect();
    }
    thread::scope(|scope| {
        let start = |contestant| scope.spawn(move || cell(contestant));
        let threads: Vec<_> = contestants.iter().map(start).collect();
        let end = |thread: thread::ScopedJoinHandle<'_, Result<String>>| {
            thread.join().unwrap_or_else(|_| Err("it panicked".into()))
        };
        threads.into_iter().map(end).collect()
    })
}

/// Summarizes the rounds that succeeded, and counts the others.
fn cell(trial: &Trial, contestant: &'static Contestant, pace: Pace) -> Result<String> {
    let (mut facts, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..trial.kind.rounds(&pace) {
        match round(trial, contestant, pace) {
            Ok(measured) => facts.push(measured),
            Err(error) => errors.push(error),
        }
    }
    let failed = errors.len();
    match errors.pop() {
        None => Ok(summarize(&facts)),
        Some(error) if facts.is_empty() => Err(error),
        Some(error) => Ok(format!("{} ({failed} rounds failed: {error})", summarize(&facts))),
    }
}

fn round(trial: &Trial, contestant: &'static Contestant, pace: Pace) -> Result<Vec<Fact>> {
    let mut stage = Stage { contestant, redis: TestRedis::start()?, pace };
    let runtime = match trial.kind {
        // A connection's driver on another thread would be most of the noise.
        Kind::Noisy => Builder::new_current_thread().enable_all().build()?,
        _ => runtime()?,
    };
    let facts = runtime.block_on(async { timeout(ROUND_TIMEOUT, (trial.run)(&mut stage)).await });
    // Contestants may leave tasks that never end.
    runtime.shutdown_background();
    facts.map_err(|_| "it took too long")?
}

/// A runtime with as many threads on every machine.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
