//! The Dockerfile's build stage, played without containers: its COPY and RUN
//! lines in their order, with a cargo that only reads the manifest.
//! `bin/test-containers` builds and walks the real thing, where there is an engine.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::sources::{files_below, root};

/// Begins a build of a package that is not there, so that cargo reads the manifest
/// as a build does, and then stops. Only that may be what it complains about: a
/// missing target or member is found before. Leaves a trace of having been called.
const CARGO: &str = r#"#!/bin/sh
said=$("$REAL_CARGO" build --offline --locked --package not-there 2>&1)
case $said in
*"did not match any packages"*) echo built >> ../builds ;;
*) echo "$said" >&2; exit 1 ;;
esac
"#;

#[test]
fn every_step_of_the_image_finds_what_it_names() {
    let tree = tempfile::tempdir().unwrap();
    let (app, tools) = (tree.path().join("app"), tree.path().join("tools"));
    fs::create_dir_all(&app).unwrap();
    fs::create_dir_all(&tools).unwrap();
    fs::write(tools.join("cargo"), CARGO).unwrap();
    fs::set_permissions(tools.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let build = dockerfile.split("\nFROM ").nth(1).unwrap();
    for step in instructions(build) {
        match step.split_once(' ') {
            Some(("COPY", names)) => copy(names, &app),
            Some(("RUN", script)) if script.contains("cargo ") => run(script, &app, &tools),
            _ => (),
        }
    }
    let builds = fs::read_to_string(tree.path().join("builds")).unwrap_or_default();
    assert_eq!(builds.lines().count(), 2, "the dependencies, then the program");
    for (source, name) in included(files_below(&app, "rs")) {
        let path = source.parent().unwrap().join(&name);
        assert!(path.is_file(), "{} includes {name}, which is not copied", source.display());
    }
}

#[test]
fn every_file_that_the_image_copies_exists() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[profile.dist]") && manifest.contains("name = \"hitrate\""));
    assert!(dockerfile.contains("COPY --from=build /app/target/dist/hitrate "));
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    for step in instructions(last).iter().filter_map(|step| step.strip_prefix("COPY ")) {
        if !step.starts_with("--from=") {
            sources(step);
        }
    }
}

/// One line each: comments and blank lines go, a backslash goes on.
fn instructions(dockerfile: &str) -> Vec<String> {
    let lines = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What `COPY a b c` copies and where to, where all of it is there. A destination
/// that ends in a slash is a folder.
fn sources(names: &str) -> (Vec<&str>, &str) {
    let mut names: Vec<_> = names.split_whitespace().collect();
    let to = names.pop().unwrap();
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    for name in &names {
        assert!(root().join(name).exists(), "COPY names {name}, which is not there");
        assert!(ignored.lines().all(|line| line != *name), "{name} is in .dockerignore");
    }
    (names, to)
}

fn copy(names: &str, app: &Path) {
    let (names, to) = sources(names);
    for name in names {
        let path = app.join(to);
        let folder = if to.ends_with('/') { &path } else { path.parent().unwrap() };
        fs::create_dir_all(folder).unwrap();
        let copied = Command::new("cp").arg("-R").arg(root().join(name)).arg(&path).status();
        assert!(copied.unwrap().success(), "COPY {name}");
    }
}

fn run(script: &str, app: &Path, tools: &Path) {
    let script = format!("PATH='{}':$PATH; {script}", tools.display());
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).current_dir(app);
    let output = shell.env("REAL_CARGO", env!("CARGO")).output().unwrap();
    assert!(output.status.success(), "RUN {script}\n{}", crate::harness::text(&output.stderr));
}

/// The files that sources include, by the names they give them.
fn included(sources: Vec<(PathBuf, String)>) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for (path, text) in sources {
        for macro_name in ["include_str!(\"", "include_bytes!(\""] {
            let parts = text.split(macro_name).skip(1);
            let names = parts.filter_map(|part| part.split_once("\")"));
            found.extend(names.map(|(name, _)| (path.clone(), name.to_owned())));
        }
    }
    found
}
