//! What was measured, as ratios of the same round.

use std::time::Duration;

use crate::{
    cases::{BEFORE, Case},
    load::Measured,
};

/// The one that the others are measured against, beside the first.
const BASE: usize = 1;

/// One server's turn in one round.
pub struct Turn {
    /// What the visitors saw.
    pub measured: Measured,
    /// What the server's process ran meanwhile.
    pub cpu: Duration,
    /// What Redis ran meanwhile.
    pub redis: Duration,
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

    fn at(&self, quantile: f64) -> f64 {
        self.measured.latency.value_at_quantile(quantile) as f64
    }
}

/// All turns of all servers on one page.
pub struct Report {
    names: Vec<&'static str>,
    turns: Vec<Vec<Turn>>,
}

impl Report {
    /// Nothing yet of these.
    pub fn new(names: Vec<&'static str>) -> Self {
        let turns = names.iter().map(|_| Vec::new()).collect();
        Self { names, turns }
    }

    /// One more turn.
    pub fn add(&mut self, which: usize, turn: Turn) {
        self.turns[which].push(turn);
    }

    /// The table. A ratio is the median of the rounds, with the least and the most.
    pub fn print(&self, case: &Case) {
        println!("{}: GET {} ({})", case.name, case.path, case.accept);
        println!(
            "{:<18}{:>9}  {:<20}{:<20}{:>8}  {:<20}{:>8}{:>8}{:>10}",
            "",
            "req/s",
            "of alone",
            "of with Redis",
            "CPU ms",
            "CPU of with Redis",
            "p50 µs",
            "p99 µs",
            "Redis ms"
        );
        for (which, name) in self.names.iter().enumerate() {
            println!(
                "{name:<18}{:>9.0}  {:<20}{:<20}{:>8.2}  {:<20}{:>8.0}{:>8.0}{:>10.2}",
                median(self.each(which, Turn::per_second)),
                self.ratio(which, 0, Turn::per_second),
                self.ratio(which, BASE, Turn::per_second),
                median(self.each(which, Turn::cpu_ms)),
                self.ratio(which, BASE, Turn::cpu_ms),
                median(self.each(which, |turn| turn.at(0.5))),
                median(self.each(which, |turn| turn.at(0.99))),
                median(self.each(which, Turn::redis_ms)),
            );
        }
        if let Some(before) = self.names.iter().position(|name| *name == BEFORE) {
            println!(
                "{:<18}requests {}, CPU {}",
                "hitrate of before",
                self.ratio(before + 1, before, Turn::per_second),
                self.ratio(before + 1, before, Turn::cpu_ms),
            );
        }
        println!("goal: {}\n", case.goal);
    }

    fn each(&self, which: usize, figure: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.turns[which].iter().map(figure).collect()
    }

    fn ratio(&self, which: usize, base: usize, figure: impl Fn(&Turn) -> f64) -> String {
        if which == base {
            return "1".to_owned();
        }
        let rounds = self.turns[which].iter().zip(&self.turns[base]);
        let ratios: Vec<f64> = rounds.map(|(turn, base)| figure(turn) / figure(base)).collect();
        let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let max = ratios.iter().copied().fold(0.0, f64::max);
        format!("{:.2} ({min:.2}..{max:.2})", median(ratios))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        0 if middle > 0 => (figures[middle - 1] + figures[middle]) / 2.0,
        _ => figures.get(middle).copied().unwrap_or(f64::NAN),
    }
}
