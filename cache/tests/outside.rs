//! A crate outside the workspace, made of the lines in README.md.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

use std::{env, fs, path::Path, process::Command};

use hitrate_cache::test_util::TestRedis;
use tempfile::TempDir;

const README: &str = include_str!("../README.md");

/// Other values than README.md has: a `Vec<String>`, and errors of other crates.
const OTHERS: &str = r#"
use std::{error::Error, num::ParseIntError, time::Duration};

use hitrate_cache::{Cache, CachePolicy, Source};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = Cache::connect("redis://127.0.0.1:6379")?;
    let policy = CachePolicy::ttl(Duration::from_secs(300));

    let roles = cache.namespace::<Vec<String>>("role", policy);
    let load = || async { serde_json::from_str::<Vec<String>>("[\"admin\", \"author\"]") };
    for source in [Source::Database, Source::Cache] {
        let lookup = roles.lookup(("user", 7), load()).await?;
        assert_eq!(lookup.value.ok_or("no roles")?.join(" "), "admin author");
        assert_eq!(lookup.source, source);
    }

    let numbers = cache.namespace::<i32>("number", policy);
    let error = numbers.get("x", async { "x".parse::<i32>() }).await.unwrap_err();
    assert_eq!(error.origin::<ParseIntError>(), "x".parse::<i32>().err().as_ref());
    println!("others: ok");
    Ok(())
}
"#;

#[test]
fn the_lines_of_the_readme_make_a_program() {
    let (dir, redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    write_package(&dir, &redis);
    assert_eq!(run(&dir, "readme"), "Ada\n");
    assert_eq!(run(&dir, "others"), "others: ok\n");
    // The write has dropped the copy.
    assert!(redis.command(&["GET", "user:7"]).contains(r#""gone":true"#));
    assert!(redis.command(&["GET", "role:user:7"]).ends_with(r#"["admin","author"]"#));
}

/// The first block of README.md in this language.
fn block(language: &str) -> &'static str {
    let start = README.split(&format!("```{language}\n")).nth(1).unwrap();
    start.split("```").next().unwrap()
}

fn write_package(dir: &TempDir, redis: &TestRedis) {
    let path = |name: &str| dir.path().join(name);
    let package = "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    let crate_path = format!("{{ path = {:?} }}", env!("CARGO_MANIFEST_DIR"));
    let dependencies = block("toml").replace("\"0.1\"", &crate_path);
    assert!(dependencies.contains(&crate_path));
    let serde_json = "serde_json = \"1\"\n";
    // As in the workspace, so that compiled dependencies are shared.
    let profile = "[profile.dev]\ndebug = \"line-tables-only\"\n[workspace]\n";
    let manifest = [package, &dependencies, serde_json, profile].concat();
    fs::write(path("Cargo.toml"), manifest).unwrap();
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    if lock.exists() {
        fs::copy(lock, path("Cargo.lock")).unwrap();
    }
    fs::create_dir_all(path("src/bin")).unwrap();
    for (name, text) in [("readme", block("rust,no_run")), ("others", OTHERS)] {
        let text = text.replace("redis://127.0.0.1:6379", &redis.url());
        assert!(text.contains(&redis.url()));
        fs::write(path(&format!("src/bin/{name}.rs")), text).unwrap();
    }
}

/// Builds and runs a program of the package, and returns what it prints.
fn run(dir: &TempDir, name: &str) -> String {
    let test = env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--offline", "--quiet", "--bin", name]).env("CARGO_TARGET_DIR", target);
    let output = cargo.current_dir(dir.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    assert!(!errors.contains("warning"), "{name}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
