//! Runs trials: each round on a Redis and a runtime of its own.

use std::{thread, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    Result,
    contestants::Contestant,
    fact::{Fact, summarize},
    pace::Pace,
    server::Server,
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

fn cell(trial: &Trial, contestant: &'static Contestant, pace: Pace) -> Result<String> {
    let rounds = (0..trial.kind.rounds(&pace)).map(|_| round(trial, contestant, pace));
    Ok(summarize(&rounds.collect::<Result<Vec<_>>>()?))
}

fn round(trial: &Trial, contestant: &'static Contestant, pace: Pace) -> Result<Vec<Fact>> {
    let stage = Stage { contestant, server: Server::start()?, pace };
    let runtime = match trial.kind {
        // A connection's driver on another thread would be most of the noise.
        Kind::Noisy => Builder::new_current_thread().enable_all().build()?,
        _ => runtime()?,
    };
    let facts = runtime.block_on(async { timeout(ROUND_TIMEOUT, (trial.run)(&stage)).await });
    // Contestants may leave tasks that never end.
    runtime.shutdown_background();
    facts.map_err(|_| "it took too long")?
}

/// A runtime with as many threads on every machine.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
