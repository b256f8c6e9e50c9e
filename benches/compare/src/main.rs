//! Compares hitrate-cache with other caches for Rust and with one written by hand, by
//! trials against a private Redis and a simulated origin. Prints tables in Markdown.

mod compile;
mod contestants;
mod fact;
mod origin;
mod pace;
mod report;
mod runner;
mod single_flight;
mod stage;
mod trials;
mod worker;

use self::{
    contestants::Contestant,
    pace::{FULL, Pace, QUICK},
    trials::Trial,
};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const USAGE: &str = "usage: compare [--quick] [--build] [TRIAL-NUMBER | CONTESTANT]...";

/// Command-line options.
struct Options {
    pace: Pace,
    build: bool,
    trials: Vec<(usize, &'static Trial)>,
    contestants: Vec<&'static Contestant>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [worker::ARGUMENT, contestant, url] =
        *args.iter().map(String::as_str).collect::<Vec<_>>()
    {
        return runner::runtime()?.block_on(worker::work(contestant, url.to_owned()));
    }
    let options = Options::parse(&args)?;
    match options.build {
        true => compile::print(&options.contestants),
        false => compare(&options),
    }
}

fn compare(options: &Options) -> Result<()> {
    let mut failed = 0;
    report::print_head("", &options.contestants);
    for (number, trial) in &options.trials {
        eprintln!("{number}. {}", trial.name);
        let cells = runner::run(trial, &options.contestants, options.pace);
        failed += cells.iter().filter(|cell| cell.is_err()).count();
        let words = |cell: Result<String>| cell.unwrap_or_else(|error| format!("failed: {error}"));
        let cells: Vec<_> = cells.into_iter().map(words).collect();
        report::print_row(&format!("{number}. {}", trial.name), &cells);
    }
    report::print_settings(&options.trials, &options.contestants, &options.pace);
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} cells have no measurement").into()),
    }
}

impl Options {
    /// Numbers select trials and names select contestants; without any, all are selected.
    fn parse(args: &[String]) -> Result<Self> {
        let (mut pace, mut build, mut numbers, mut names) = (FULL, false, vec![], vec![]);
        for arg in args {
            match (arg.as_str(), arg.parse::<usize>()) {
                ("--quick", _) => pace = QUICK,
                ("--build", _) => build = true,
                (_, Ok(number)) if (1..=trials::ALL.len()).contains(&number) => {
                    numbers.push(number)
                }
                (name, _) => names.push(contestants::named(name).ok_or(USAGE)?.name),
            }
        }
        let trials = (1..).zip(trials::ALL);
        let trials = trials.filter(|(number, _)| numbers.is_empty() || numbers.contains(number));
        let contestants = contestants::ALL.into_iter();
        let contestants = contestants.filter(|it| names.is_empty() || names.contains(&it.name));
        Ok(Self { pace, build, trials: trials.collect(), contestants: contestants.collect() })
    }
}
