//! Compares hitrate's pages with a minimal server (the limit) and with a typical
//! implementation (by hand), for minimal requests and for those of a browser.
//!
//! All servers run on the same machine and are measured in turn, so that
//! interference affects all of them: ratios are reliable, while requests per second
//! vary. See docs/performance.md.

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
    cases::{Bench, CASES, Case, Contestant},
    report::{Report, Turn},
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Time before each measurement, as connections are new and CPU caches cold.
const WARM_UP: Duration = Duration::from_millis(100);

/// Measures the pages of hitrate and its baselines
#[derive(Parser)]
struct Options {
    /// home, product, near, profiles, profiles-json or memory [default: all]
    groups: Vec<String>,
    /// Number of rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Duration of each measurement, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Program of another build of hitrate to compare with
    #[arg(long)]
    before: Option<PathBuf>,
    /// Requests per series of the memory group
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Serve as a baseline instead, with the pages in this directory
    #[arg(long, hide = true)]
    bare: Option<PathBuf>,
    /// URL of Redis, for the baseline that uses it
    #[arg(long, hide = true)]
    redis: Option<String>,
    /// Passed by cargo to every benchmark
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
    let bench = Bench::start(options.before.as_deref()).await?;
    let (mut verdicts, mut max_memory) = (Vec::new(), None);
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        if !bench.offers(case).await? {
            println!("{}: this build of hitrate has no page {}\n", case.name, case.path);
            continue;
        }
        let report = compare(&bench, case, options).await?;
        report.print(case);
        verdicts.extend(report.verdicts(case));
        max_memory = max_memory.max(report.max_memory());
    }
    if wanted("memory") {
        let profile = memory::measure(&bench, options.requests).await?;
        verdicts.extend(profile.verdict());
        max_memory = max_memory.max(profile.max());
    }
    verdicts.extend(max_memory.map(memory::verdict));
    for verdict in verdicts {
        println!("{verdict}");
    }
    Ok(())
}

/// Measures each contestant once per round, each round starting with another one.
async fn compare(bench: &Bench, case: &Case, options: &Options) -> Result<Report> {
    let contestants = bench.contestants(case);
    let mut report = Report::new(&contestants);
    for round in 0..options.rounds {
        for i in 0..contestants.len() {
            let which = (round + i) % contestants.len();
            let time = Duration::from_secs_f64(options.seconds);
            report.add(which, turn(bench, contestants[which], case, time).await?);
        }
    }
    Ok(report)
}

async fn turn(bench: &Bench, contestant: Contestant, case: &Case, time: Duration) -> Result<Turn> {
    let server = bench.server(contestant);
    let request = case.request(contestant, server.address);
    load::steady(server.address, &request, WARM_UP).await?;
    let (before, redis_before) = (server.cpu()?, bench.redis().cpu()?);
    let measured = load::steady(server.address, &request, time).await?;
    let (cpu, redis) = (server.cpu()? - before, bench.redis().cpu()? - redis_before);
    Ok(Turn { measured, cpu, redis, memory: server.memory()? })
}
