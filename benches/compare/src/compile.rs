//! The number of packages and the compile time of a minimal program per contestant.

use std::{collections::BTreeSet, path::Path, process::Command, time::Instant};

use tempfile::TempDir;

use crate::{Result, contestants::Contestant, report};

/// The script that builds a package and prints the processor time of its children.
const TIMED_BUILD: &str = r#"cargo build --quiet -p "$1" >&2 && times"#;

/// Prints a table of packages and compile times.
pub fn print(contestants: &[&Contestant]) -> Result<()> {
    report::print_head("", contestants);
    let packages = contestants.iter().map(|it| count_packages(it));
    report::print_row("Packages", &packages.collect::<Result<Vec<_>>>()?);
    let times = contestants.iter().map(|it| compile_time(it));
    report::print_row("Compile time of one processor", &times.collect::<Result<Vec<_>>>()?);
    println!("\n`cargo tree -e normal`, and `cargo build` into an empty directory, of `minimal/`.");
    Ok(())
}

/// The number of packages that a minimal program depends on.
fn count_packages(contestant: &Contestant) -> Result<String> {
    let output = Command::new("cargo")
        .args(["tree", "-e", "normal", "--prefix", "none", "-p", contestant.minimal])
        .current_dir(manifest_dir())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    // The first line is the program itself, and "(*)" marks repetitions.
    let packages: BTreeSet<_> =
        text.lines().skip(1).map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(packages.len().to_string())
}

/// The time of a build without any compiled dependency.
fn compile_time(contestant: &Contestant) -> Result<String> {
    eprintln!("compiling {}", contestant.minimal);
    let target = TempDir::with_prefix("compare-")?;
    let start = Instant::now();
    let output = Command::new("sh")
        .args(["-c", TIMED_BUILD, "sh", contestant.minimal])
        .current_dir(manifest_dir())
        .env("CARGO_TARGET_DIR", target.path())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let elapsed = start.elapsed().as_secs();
    let cpu = children_seconds(&String::from_utf8(output.stdout)?).ok_or("no processor time")?;
    Ok(format!("{cpu:.0} s (here {elapsed} s)"))
}

/// The sum of the second line that `times` prints, such as `0m1.5s 1m0.25s`.
fn children_seconds(times: &str) -> Option<f64> {
    let seconds = |time: &str| {
        let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    times.lines().nth(1)?.split_whitespace().map(seconds).sum()
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_children_is_the_second_line() {
        assert_eq!(children_seconds("0m0.00s 0m0.01s\n1m2.50s 0m3.25s\n"), Some(65.75));
        assert_eq!(children_seconds("0m0.00s 0m0.01s\n"), None);
    }
}
