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
    let tried = hitrate.post("/strategies", "act=run&policy=write-behind");
    let typed = hitrate.post("/console", "command=SET+a+%22%3Cb%3E%22");
    hitrate.post_with("/console", "command=FLUSHALL", &[("cookie", typed.cookie())]);
    let visitor = [("cookie", typed.cookie())];
    for structure in hitrate::labs::structures::ALL {
        let path = format!("/structures/{}", structure.slug);
        assert_eq!(hitrate.post_with(&path, "act=example", &visitor).status, 303);
    }
    let grown = hitrate.post_with("/structures/hashes", "act=grow", &visitor);
    let cookies = [started.cookie(), looked.cookie(), typed.cookie()];
    let cookies = [("cookie", cookies.join("; "))];
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| (*name, value.as_str())).collect();

    let ran = hitrate.post(
        "/stampede",
        "policy=none&policy=cache-aside&policy=stale-while-revalidate&visitors=9",
    );
    let counted = hitrate.post("/patterns/distributed-lock", "act=trial&actors=9");
    let acted: Vec<_> = hitrate::labs::patterns::ALL
        .iter()
        .map(|it| {
            let act = it.acts[0].id;
            let path = format!("/patterns/{}", it.slug);
            let posted = hitrate.post_with(&path, &format!("act={act}"), &cookies);
            posted.header("location").split('#').next().unwrap().to_owned()
        })
        .collect();
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
        "/structures",
        "/structures/strings",
        grown.header("location"),
        "/structures/lists",
        "/structures/sets",
        "/structures/sorted-sets",
        "/structures/bitmaps",
        "/structures/hyperloglog",
        "/structures/geospatial",
        "/structures/streams",
        "/nowhere",
        "/patterns",
        "/patterns/shopping-cart",
        "/patterns/expiring-key?run=none",
        counted.header("location").split('#').next().unwrap(),
    ]
    .into_iter()
    .chain(acted.iter().map(String::as_str))
    .enumerate()
    {
        let page = hitrate.get_with(path, &cookies).body;
        fs::write(dir.path().join(format!("{n}.html")), page).unwrap();
    }
    let checked =
        Command::new("node").arg(checker).arg(".").current_dir(dir.path()).output().unwrap();
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}
