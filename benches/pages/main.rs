//! How fast the pages are, beside the least that could answer the same (the limit),
//! beside what is usually written (by hand), and when a browser asks.
//!
//! All of them run at the same time on the same machine and are asked in turns,
//! so that what disturbs one disturbs the others, and ratios can be trusted
//! where requests per second can't. See docs/performance.md.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod bare;
mod cases;
mod load;
mod memory;
mod process;
mod report;

use std::{error::Error, path::PathBuf, time::Duration};

use clap::Parser;

use self::{
    cases::{CASES, Case, Stage, Who},
    report::{Report, Turn},
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Connections are new at each turn, and caches of the processor cold.
const WARM_UP: Duration = Duration::from_millis(100);

/// What to measure, and for how long
#[derive(Parser)]
struct Options {
    /// home, product, near, profiles, profiles-json or memory [default: all]
    groups: Vec<String>,
    /// How often each is asked in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn lasts
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Another build of hitrate to compare with: the path of its program
    #[arg(long)]
    before: Option<PathBuf>,
    /// How many requests of each kind the memory group sends
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Serve as one of the baselines instead: the directory of its pages
    #[arg(long, hide = true)]
    bare: Option<PathBuf>,
    /// The baseline with Redis: its socket
    #[arg(long, hide = true)]
    redis: Option<String>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    match &options.bare {
        Some(pages) => bare::serve(pages, options.redis.clone()),
        None => load::runtime()?.block_on(measure(&options)),
    }
}

async fn measure(options: &Options) -> Result<()> {
    let wanted =
        |name: &str| options.groups.is_empty() || options.groups.iter().any(|group| group == name);
    let stage = Stage::set(options.before.as_deref()).await?;
    let (mut verdicts, mut most) = (Vec::new(), None);
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        if !stage.offers(case).await? {
            println!("{}: this hitrate has no {}\n", case.name, case.path);
            continue;
        }
        let report = compare(&stage, case, options).await?;
        report.print(case);
        verdicts.extend(report.verdicts(case));
        most = most.max(report.most_memory());
    }
    if wanted("memory") {
        let watched = memory::watch(&stage, options.requests).await?;
        verdicts.extend(watched.verdict());
        most = most.max(watched.most());
    }
    verdicts.extend(most.map(memory::verdict));
    for verdict in verdicts {
        println!("{verdict}");
    }
    Ok(())
}

/// Asks each server in turn, round after round, another one first each time.
async fn compare(stage: &Stage, case: &Case, options: &Options) -> Result<Report> {
    let contestants = stage.contestants(case);
    let mut report = Report::new(&contestants);
    for round in 0..options.rounds {
        for i in 0..contestants.len() {
            let which = (round + i) % contestants.len();
            let time = Duration::from_secs_f64(options.seconds);
            report.add(which, turn(stage, contestants[which], case, time).await?);
        }
    }
    Ok(report)
}

async fn turn(stage: &Stage, who: Who, case: &Case, time: Duration) -> Result<Turn> {
    let server = stage.server(who);
    let request = case.request(who, server.address);
    load::steady(server.address, &request, WARM_UP).await?;
    let (before, redis_before) = (server.cpu()?, stage.redis().cpu()?);
    let measured = load::steady(server.address, &request, time).await?;
    let (cpu, redis) = (server.cpu()? - before, stage.redis().cpu()? - redis_before);
    Ok(Turn { measured, cpu, redis, memory: server.memory()? })
}
