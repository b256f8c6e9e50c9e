//! Runs of a stampede as bars: database loads and response times.

use hitrate_cache::Source;

use crate::{format, labs::stampede::PolicyRun, web::percent::Percent};

/// Minimum width of a bar, so that it is visible.
const WIDTH_MIN: Percent = Percent::hundredths(50);

/// All runs on two linear scales, which start at zero.
pub struct StampedeChart<'a> {
    /// One for each run.
    pub rows: Vec<StampedeRow<'a>>,
    /// Position of the simulated delay on the time scale.
    pub delay: Option<Percent>,
    /// Text alternative of the chart.
    pub description: String,
}

/// The bars of one run.
pub struct StampedeRow<'a> {
    /// The run.
    pub run: &'a PolicyRun,
    /// Width of the bar of loads.
    pub loads: Percent,
    /// p50, p99 and maximum.
    pub times: [TimeBar; 3],
    /// Colour of the times: the source that answered most visitors.
    pub colour: &'static str,
}

/// Bar of one response time.
pub struct TimeBar {
    /// Label.
    pub label: &'static str,
    /// Time in microseconds; `None` if no visitor was answered.
    pub us: Option<u64>,
    /// Width.
    pub width: Percent,
}

impl<'a> StampedeChart<'a> {
    /// Draws runs.
    pub fn of(runs: &'a [PolicyRun], delay_ms: u64) -> Self {
        let delay_us = delay_ms * 1_000;
        let loads = runs.iter().map(|run| run.origin_loads).max().unwrap_or_default();
        let times = runs.iter().filter_map(|run| run.max_us).max().unwrap_or_default();
        let times = times.max(delay_us);
        Self {
            rows: runs.iter().map(|run| row(run, loads, times)).collect(),
            delay: (delay_us > 0).then(|| Percent::of(delay_us, times)),
            description: runs.iter().map(description).collect::<Vec<_>>().join("; "),
        }
    }
}

fn row(run: &PolicyRun, loads: u64, times: u64) -> StampedeRow<'_> {
    let time = |label, us: Option<u64>| TimeBar { label, us, width: width(us.unwrap_or(0), times) };
    StampedeRow {
        run,
        loads: width(run.origin_loads, loads),
        times: [time("p50", run.p50_us), time("p99", run.p99_us), time("max", run.max_us)],
        colour: match run.from_database > run.from_cache + run.stale {
            true => Source::Database.name(),
            false => Source::Cache.name(),
        },
    }
}

fn width(value: u64, max: u64) -> Percent {
    Percent::of(value, max).visible(WIDTH_MIN)
}

fn description(run: &PolicyRun) -> String {
    let loads = format::counted(&run.origin_loads, "load", "loads");
    let slowest = run.max_us.map_or_else(|| "no answers".to_owned(), |us| format::time(&us));
    format!("{}: {loads}, slowest response {slowest}", run.policy)
}
