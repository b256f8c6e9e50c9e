//! Every page is valid HTML, by the rules of html-validate.

use std::{fs, process::Command};

use crate::harness::{Hitrate, node_modules, text};

const RULES: &str = r#"{
    "root": true,
    "extends": ["html-validate:standard"],
    "rules": { "no-trailing-whitespace": "off", "long-title": "off" }
}"#;

#[test]
fn every_page_is_valid() {
    let Some(modules) = node_modules() else { return };
    let checker = modules.join("html-validate/bin/html-validate.mjs");
    let hitrate = Hitrate::start();
    let started = hitrate.post("/sessions", "username=qiross");
    let looked = hitrate.get("/profiles?id=123&delay_ms=50");
    let tried = hitrate.post("/strategies", "act=run&recipe=write-behind");
    let typed = hitrate.post("/console", "command=SET+a+%22%3Cb%3E%22");
    hitrate.post_with("/console", "command=FLUSHALL", &[("cookie", typed.cookie())]);
    let cookies = [started.cookie(), looked.cookie(), typed.cookie()].join("; ");
    let cookies = [("cookie", cookies)];
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| (*name, value.as_str())).collect();

    let ran = hitrate.post("/stampede", "recipe=none&recipe=plain&recipe=grace&visitors=9");
    let timed = hitrate.post("/patterns/round-trips", "count=9&round_trip=0");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".htmlvalidate.json"), RULES).unwrap();
    for (n, path) in [
        "/",
        "/profiles",
        "/profiles?id=123",
        "/profiles?id=456&delay_ms=50",
        "/profiles?id=nobody",
        "/profiles?id=123&cache=off",
        "/profiles?id=*",
        "/strategies",
        "/strategies?id=nobody",
        tried.header("location"),
        "/invalidation",
        "/console",
        "/patterns/round-trips",
        "/patterns/round-trips?run=none",
        timed.header("location"),
        "/patterns/key-names",
        "/patterns/key-names?names=%3Cb%3E%0Auser::1",
        "/sessions",
        "/stampede",
        "/stampede?run=none",
        ran.header("location"),
        "/stats",
        "/nowhere",
    ]
    .iter()
    .enumerate()
    {
        let page = hitrate.get_with(path, &cookies).body;
        fs::write(dir.path().join(format!("{n}.html")), page).unwrap();
    }
    let checked =
        Command::new("node").arg(checker).arg(".").current_dir(dir.path()).output().unwrap();
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}
