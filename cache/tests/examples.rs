//! Runs the examples. `cargo test` has built them, beside this test.

#![allow(clippy::unwrap_used, reason = "a test may panic, and its helpers with it")]

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

/// A test for each example: the lines that it prints, among others, in this order.
macro_rules! examples {
    ($($name:ident: [$($line:literal),+];)*) => {
        const ALL: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            assert_prints(stringify!($name), &[$($line),+]);
        })*
    };
}

examples! {
    start: ["Ada from Database", "Ada from Cache", "renamed to Grace: Invalidated(true)",
        "user 8 exists: false", "user 8 is known not to exist: true"];
    no_version: [r#"the slow reader gets Some("Ada"), which is Superseded"#,
        r#"the next reader gets Some("Grace") from Database"#];
    sqlx_version: ["version Some(2) is in the database: Invalidated(true)",
        "version Some(1) from a replica: Superseded",
        r#"Some("Barbara"), version Some(3), from Cache"#];
    actix: ["HTTP/1.0 200 OK cache-status: example; fwd=uri-miss; stored  Ada",
        "HTTP/1.0 200 OK cache-status: example; hit; ttl=", "HTTP/1.0 404 Not Found"];
    axum: ["Ada", "the handler has filled the cache: true"];
    origin_down: ["the origin fails: Ada from Stale", "the origin hangs: Ada from Stale",
        "Redis is gone: Ada from Database", "Redis is gone: Ada from Database",
        "both are gone: Ada from Stale", "both are gone: Some(Custom"];
    near_two_processes: ["this process has written Ada", "the other process reads Ada from Memory",
        "this process has written Grace", "the other process reads Grace from Memory"];
    own_codec: ["10,000 bytes as JSON take 4", "with the other codec: from Database",
        "10,000 bytes as they are take 1", "then: from Cache"];
    observer: ["loads: 1", "misses: ", "Deferred(", "waiting for Redis: 1"];
    testing: ["in memory: Hello, Ada! 1 load(s)", "off: Hello, Ada! 2 load(s)",
        "on Redis: Hello, Ada! 1 load(s)", "the key: name:7",
        "on a frozen Redis: Hello, Ada! 2 load(s)"];
}

#[test]
fn every_example_has_a_test() {
    let name = |file: fs::DirEntry| {
        file.path().file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap()
    };
    let files: BTreeSet<_> =
        fs::read_dir(sources()).unwrap().map(|file| name(file.unwrap())).collect();
    let tested: BTreeSet<_> = ALL.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(files, tested);
}

fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Asserts that the program ends with success, and has printed lines that begin so.
fn assert_prints(name: &str, lines: &[&str]) {
    let output = Command::new(program(name)).output().unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{printed}{errors}", output.status);
    let mut printed_lines = printed.lines();
    for line in lines {
        assert!(printed_lines.any(|it| it.starts_with(line)), "no {line:?} in\n{printed}");
    }
}

/// The program of an example, in `examples/` beside the folder of this test.
fn program(name: &str) -> PathBuf {
    let mut program = env::current_exe().unwrap();
    program.pop();
    program.pop();
    program.extend(["examples", &format!("{name}{}", env::consts::EXE_SUFFIX)]);
    let source = sources().join(name).with_extension("rs");
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
    let is_current = modified(&program) >= modified(&source);
    assert!(is_current, "{name} is not built: run cargo build -p hitrate-cache --examples");
    program
}
