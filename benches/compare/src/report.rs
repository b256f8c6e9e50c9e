//! The report, in Markdown.

use std::{process::Command, thread::available_parallelism};

use crate::{contestants::Contestant, pace::Pace, trials::Trial};

/// The versions that this program was built with.
const LOCK: &str = include_str!("../Cargo.lock");

/// Prints the head of a table with a column per contestant.
pub fn print_head(first: &str, contestants: &[&Contestant]) {
    let names: Vec<_> = contestants.iter().map(|contestant| head(contestant)).collect();
    print_row(first, &names);
    println!("|{}", "---|".repeat(contestants.len() + 1));
}

pub fn print_row(name: &str, cells: &[String]) {
    println!("| {name} | {} |", cells.join(" | "));
}

/// Prints how it was measured.
pub fn print_settings(trials: &[(usize, &Trial)], contestants: &[&Contestant], pace: &Pace) {
    println!("\n{}\n", machine());
    println!(
        "Rounds ({}): {} per trial, {} where it waits for deadlines, {} for ratios; each on a \
         Redis of its own. Times are medians, ratios have their range in brackets.\n",
        pace.name, pace.short, pace.long, pace.noisy
    );
    for (number, trial) in trials {
        println!("{number}. {}: {}.", trial.name, trial.settings);
    }
    println!();
    for contestant in contestants {
        let packages: Vec<_> = contestant.packages.iter().map(|it| with_version(it)).collect();
        println!("- **{}** ({}): {}.", contestant.name, packages.join(", "), contestant.settings);
    }
}

/// Processors, Redis and Rust.
pub fn machine() -> String {
    let processors = available_parallelism().map_or(0, usize::from);
    let redis = first_line("redis-server").unwrap_or_default();
    let redis = redis.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?");
    let rust = first_line("rustc").unwrap_or_default();
    let rust = rust.split_whitespace().nth(1).unwrap_or("?").to_owned();
    format!("{processors} processors, Redis {redis} on a unix socket, Rust {rust}, release build.")
}

fn first_line(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

fn head(contestant: &Contestant) -> String {
    match contestant.packages.contains(&contestant.name) {
        true => with_version(contestant.name),
        false => contestant.name.to_owned(),
    }
}

fn with_version(package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name);
    let version = lines.nth(1).and_then(|line| line.split('"').nth(1)).unwrap_or("?");
    format!("{package} {version}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants;

    #[test]
    fn every_package_has_a_version_in_the_lock_file() {
        for package in contestants::ALL.iter().flat_map(|contestant| contestant.packages) {
            assert!(!with_version(package).ends_with('?'), "{package}");
        }
    }
}
