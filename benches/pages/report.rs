//! The results: medians, and ratios within the same round.

use std::{fmt, time::Duration};

use crate::{
    cases::{Case, Contestant, Figure, Goal},
    load::Measured,
    process::Memory,
};

/// The result of one contestant in one round.
pub struct Turn {
    /// Requests, bytes and latency, as seen by the clients.
    pub measured: Measured,
    /// CPU time of the server.
    pub cpu: Duration,
    /// CPU time of Redis.
    pub redis: Duration,
    /// Resident memory of the server afterwards.
    pub memory: Memory,
}

impl Turn {
    fn per_second(&self) -> f64 {
        self.measured.requests as f64 / self.measured.time.as_secs_f64()
    }

    /// CPU milliseconds per thousand requests, i.e. microseconds per request.
    fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.measured.requests as f64
    }

    fn redis_ms(&self) -> f64 {
        self.redis.as_secs_f64() * 1e6 / self.measured.requests as f64
    }

    fn bytes(&self) -> f64 {
        self.measured.bytes as f64 / self.measured.requests as f64
    }

    fn megabytes(&self) -> f64 {
        self.memory.megabytes()
    }

    fn at(&self, quantile: f64) -> f64 {
        self.measured.latency.value_at_quantile(quantile) as f64
    }
}

/// A goal and the measured result.
pub struct Verdict {
    /// The group and the measured quantity.
    pub what: String,
    /// The result, with its spread.
    pub measured: String,
    /// The bound, in words.
    pub goal: String,
    /// Whether the goal is met.
    pub is_met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = if self.is_met { "met" } else { "NOT MET" };
        let Self { what, measured, goal, .. } = self;
        write!(f, "{met:<8}{what:<66}{measured:<22}{goal}")
    }
}

/// The median of the rounds, with minimum and maximum.
struct Ratio {
    median: f64,
    min: f64,
    max: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} ({:.2}..{:.2})", self.median, self.min, self.max))
    }
}

/// The results of all contestants on one page.
pub struct Report {
    all: Vec<(Contestant, Vec<Turn>)>,
}

impl Report {
    /// An empty report.
    pub fn new(contestants: &[Contestant]) -> Self {
        Self { all: contestants.iter().map(|it| (*it, Vec::new())).collect() }
    }

    /// Adds the result of one round.
    pub fn add(&mut self, which: usize, turn: Turn) {
        self.all[which].1.push(turn);
    }

    /// Maximum resident memory of hitrate.
    pub fn max_memory(&self) -> Option<Memory> {
        let ours = self.all.iter().filter(|(contestant, _)| {
            matches!(contestant, Contestant::Hitrate | Contestant::Browser)
        });
        ours.flat_map(|(_, turns)| turns).map(|turn| turn.memory).max()
    }

    /// Prints the table and the goals.
    pub fn print(&self, case: &Case) {
        println!("{}: GET {} ({})", case.name, case.path, case.accept);
        print!("{:<18}{:>9}", "", "req/s");
        for base in case.baselines {
            print!("  {:<20}", format!("vs {}", base.name()));
        }
        let base = case.baselines[0];
        print!("{:>8}  {:<20}", "CPU ms", format!("vs {}", base.name()));
        println!("{:>8}{:>8}{:>9}{:>8}{:>10}", "p50 µs", "p99 µs", "bytes", "RSS MB", "Redis ms");
        for (contestant, turns) in &self.all {
            let of = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure).collect());
            print!("{:<18}{:>9.0}", contestant.name(), of(Turn::per_second));
            for base in case.baselines {
                print!("  {:<20}", self.ratio(*contestant, *base, Figure::Requests));
            }
            print!("{:>8.2}  {:<20}", of(Turn::cpu_ms), self.ratio(*contestant, base, Figure::Cpu));
            print!("{:>8.0}{:>8.0}", of(|turn| turn.at(0.5)), of(|turn| turn.at(0.99)));
            println!(
                "{:>9.0}{:>8.1}{:>10.2}",
                of(Turn::bytes),
                of(Turn::megabytes),
                of(Turn::redis_ms)
            );
        }
        if self.turns(Contestant::Before).is_some() {
            println!(
                "hitrate vs hitrate before: requests {}, CPU {}",
                self.ratio(Contestant::Hitrate, Contestant::Before, Figure::Requests),
                self.ratio(Contestant::Hitrate, Contestant::Before, Figure::Cpu),
            );
        }
        let goals: Vec<_> = case.goals.iter().map(in_words).collect();
        println!("goals: {}\n", goals.join("; "));
    }

    /// The verdict on each goal.
    pub fn verdicts(&self, case: &Case) -> Vec<Verdict> {
        let verdict = |goal: &Goal| {
            let ratio = self.ratio(goal.contestant, goal.base, goal.figure);
            Verdict {
                what: format!("{}: {}", case.name, subject(goal)),
                goal: bound(goal),
                is_met: match goal.figure {
                    Figure::Requests => ratio.median >= goal.bound,
                    Figure::Cpu => ratio.median <= goal.bound,
                },
                measured: ratio.to_string(),
            }
        };
        case.goals.iter().map(verdict).collect()
    }

    fn turns(&self, contestant: Contestant) -> Option<&[Turn]> {
        self.all.iter().find(|(it, _)| *it == contestant).map(|(_, turns)| turns.as_slice())
    }

    fn ratio(&self, contestant: Contestant, base: Contestant, figure: Figure) -> Ratio {
        let of: fn(&Turn) -> f64 = match figure {
            Figure::Requests => Turn::per_second,
            Figure::Cpu => Turn::cpu_ms,
        };
        let (turns, base) =
            (self.turns(contestant).unwrap_or(&[]), self.turns(base).unwrap_or(&[]));
        let ratios: Vec<f64> = turns.iter().zip(base).map(|(it, base)| of(it) / of(base)).collect();
        Ratio {
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        }
    }
}

fn subject(goal: &Goal) -> String {
    let figure = match goal.figure {
        Figure::Requests => "requests",
        Figure::Cpu => "CPU",
    };
    let with =
        if goal.contestant == Contestant::Browser { " with a browser's headers" } else { "" };
    let base = if goal.base == Contestant::Hitrate { "minimal requests" } else { goal.base.name() };
    format!("{figure}{with}, compared with {base}")
}

fn bound(goal: &Goal) -> String {
    match goal.figure {
        Figure::Requests => format!("at least {}", goal.bound),
        Figure::Cpu => format!("at most {}", goal.bound),
    }
}

fn in_words(goal: &Goal) -> String {
    format!("{} {}", subject(goal), bound(goal))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        0 if middle > 0 => (figures[middle - 1] + figures[middle]) / 2.0,
        _ => figures.get(middle).copied().unwrap_or(f64::NAN),
    }
}
