//! What was measured, as ratios of the same round.

use std::{fmt, time::Duration};

use crate::{
    cases::{Case, Figure, Goal, Who},
    load::Measured,
    process::Memory,
};

/// One server's turn in one round.
pub struct Turn {
    /// What the visitors saw.
    pub measured: Measured,
    /// What the server's process ran meanwhile.
    pub cpu: Duration,
    /// What Redis ran meanwhile.
    pub redis: Duration,
    /// The memory that the server holds after it.
    pub memory: Memory,
}

impl Turn {
    fn per_second(&self) -> f64 {
        self.measured.requests as f64 / self.measured.time.as_secs_f64()
    }

    /// Milliseconds per thousand requests, which is microseconds per request.
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

/// A goal, what was measured, and whether that is enough.
pub struct Verdict {
    /// The group and the figure.
    pub what: String,
    /// With its spread.
    pub measured: String,
    /// In words.
    pub goal: String,
    /// Whether it is met.
    pub is_met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = if self.is_met { "met" } else { "NOT MET" };
        let Self { what, measured, goal, .. } = self;
        write!(f, "{met:<8}{what:<66}{measured:<22}{goal}")
    }
}

/// The median of the rounds, with the least and the most.
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} ({:.2}..{:.2})", self.median, self.least, self.most))
    }
}

/// All turns of all contestants on one page.
pub struct Report {
    all: Vec<(Who, Vec<Turn>)>,
}

impl Report {
    /// Nothing yet of these.
    pub fn new(contestants: &[Who]) -> Self {
        Self { all: contestants.iter().map(|who| (*who, Vec::new())).collect() }
    }

    /// One more turn.
    pub fn add(&mut self, which: usize, turn: Turn) {
        self.all[which].1.push(turn);
    }

    /// The most memory that hitrate held after a turn.
    pub fn most_memory(&self) -> Option<Memory> {
        let ours = self.all.iter().filter(|(who, _)| matches!(who, Who::Hitrate | Who::Browser));
        ours.flat_map(|(_, turns)| turns).map(|turn| turn.memory).max()
    }

    /// The table, and the goals.
    pub fn print(&self, case: &Case) {
        println!("{}: GET {} ({})", case.name, case.path, case.accept);
        print!("{:<18}{:>9}", "", "req/s");
        for base in case.baselines {
            print!("  {:<20}", format!("of {}", base.name()));
        }
        let base = case.baselines[0];
        print!("{:>8}  {:<20}", "CPU ms", format!("of {}", base.name()));
        println!("{:>8}{:>8}{:>9}{:>8}{:>10}", "p50 µs", "p99 µs", "bytes", "RSS MB", "Redis ms");
        for (who, turns) in &self.all {
            let of = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure).collect());
            print!("{:<18}{:>9.0}", who.name(), of(Turn::per_second));
            for base in case.baselines {
                print!("  {:<20}", self.ratio(*who, *base, Figure::Requests));
            }
            print!("{:>8.2}  {:<20}", of(Turn::cpu_ms), self.ratio(*who, base, Figure::Cpu));
            print!("{:>8.0}{:>8.0}", of(|turn| turn.at(0.5)), of(|turn| turn.at(0.99)));
            println!(
                "{:>9.0}{:>8.1}{:>10.2}",
                of(Turn::bytes),
                of(Turn::megabytes),
                of(Turn::redis_ms)
            );
        }
        if self.turns(Who::Before).is_some() {
            println!(
                "hitrate, of before: requests {}, CPU {}",
                self.ratio(Who::Hitrate, Who::Before, Figure::Requests),
                self.ratio(Who::Hitrate, Who::Before, Figure::Cpu),
            );
        }
        let goals: Vec<_> = case.goals.iter().map(in_words).collect();
        println!("goals: {}\n", goals.join("; "));
    }

    /// What came of each goal.
    pub fn verdicts(&self, case: &Case) -> Vec<Verdict> {
        let verdict = |goal: &Goal| {
            let ratio = self.ratio(goal.whose, goal.of, goal.figure);
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

    fn turns(&self, who: Who) -> Option<&[Turn]> {
        self.all.iter().find(|(it, _)| *it == who).map(|(_, turns)| turns.as_slice())
    }

    fn ratio(&self, who: Who, base: Who, figure: Figure) -> Ratio {
        let of: fn(&Turn) -> f64 = match figure {
            Figure::Requests => Turn::per_second,
            Figure::Cpu => Turn::cpu_ms,
        };
        let (turns, base) = (self.turns(who).unwrap_or(&[]), self.turns(base).unwrap_or(&[]));
        let ratios: Vec<f64> = turns.iter().zip(base).map(|(it, base)| of(it) / of(base)).collect();
        Ratio {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        }
    }
}

fn subject(goal: &Goal) -> String {
    let figure = match goal.figure {
        Figure::Requests => "requests",
        Figure::Cpu => "CPU",
    };
    let whose = if goal.whose == Who::Browser { " with a browser's headers" } else { "" };
    let of = if goal.of == Who::Hitrate { "plain ones" } else { goal.of.name() };
    format!("{figure}{whose}, of {of}")
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
