//! Runs of a stampede as bars, side by side: loads, and times.

use hitrate_cache::Source;

use crate::{format, labs::stampede::PolicyRun};

/// No bar is narrower, in per cent: one that can't be seen would look like none.
const NARROWEST: f64 = 0.5;

/// All runs, on the same two scales. Both begin at nothing and are linear.
pub struct Chart<'a> {
    /// One for each run.
    pub rows: Vec<ChartRow<'a>>,
    /// Where the simulated delay lies on the scale of times, in per cent.
    pub delay: Option<f64>,
    /// What can be seen, for who can't.
    pub told: String,
}

/// The bars of one run.
pub struct ChartRow<'a> {
    /// The run.
    pub run: &'a PolicyRun,
    /// Width of its loads, in per cent.
    pub loads: f64,
    /// p50, p99 and the slowest.
    pub times: [Time; 3],
    /// Who answered most visitors: the colour of the times.
    pub colour: &'static str,
}

/// One bar of time.
pub struct Time {
    /// Which one.
    pub label: &'static str,
    /// None when nobody was answered.
    pub us: Option<u64>,
    /// Its width, in per cent.
    pub width: f64,
}

impl<'a> Chart<'a> {
    /// Draws these runs.
    pub fn of(runs: &'a [PolicyRun], delay_ms: u64) -> Self {
        let delay_us = delay_ms * 1_000;
        let loads = runs.iter().map(|run| run.origin_loads).max().unwrap_or_default();
        let times = runs.iter().filter_map(|run| run.max_us).max().unwrap_or_default();
        let times = times.max(delay_us);
        Self {
            rows: runs.iter().map(|run| row(run, loads, times)).collect(),
            delay: (delay_us > 0).then(|| share(delay_us, times)),
            told: runs.iter().map(told).collect::<Vec<_>>().join("; "),
        }
    }
}

fn row(run: &PolicyRun, loads: u64, times: u64) -> ChartRow<'_> {
    let time = |label, us: Option<u64>| Time { label, us, width: width(us.unwrap_or(0), times) };
    ChartRow {
        run,
        loads: width(run.origin_loads, loads),
        times: [time("p50", run.p50_us), time("p99", run.p99_us), time("slowest", run.max_us)],
        colour: match run.from_database > run.from_cache + run.stale {
            true => Source::Database.name(),
            false => Source::Cache.name(),
        },
    }
}

fn width(value: u64, run_to_completion: u64) -> f64 {
    if value == 0 { 0.0 } else { share(value, run_to_completion).max(NARROWEST) }
}

/// In per cent, to two digits.
fn share(value: u64, run_to_completion: u64) -> f64 {
    (value as f64 * 10_000.0 / run_to_completion.max(1) as f64).round() / 100.0
}

fn told(run: &PolicyRun) -> String {
    let loads = format::counted(&run.origin_loads, "load", "loads");
    let slowest =
        run.max_us.map_or_else(|| "nobody answered".to_owned(), |us| format::time(&us).to_string());
    format!("{}: {loads}, the slowest visitor {slowest}", run.policy)
}
