//! Every page, in each state and at each width, keeps the rules.

use std::fs;

use super::{Browser, DESK, Look, PHONE};
use crate::harness::{Hitrate, node_modules};

/// Every page in each state that looks different.
const PAGES: &[&str] = &[
    "/",
    "/profiles",
    "/profiles?id=123&delay_ms=50",
    "/profiles?id=123",
    "/profiles?id=nobody",
    "/strategies",
    "/strategies?id=nobody",
    "/sessions",
    "/invalidation",
    "/console",
    "/stampede",
    "/stampede?run=none",
    "/patterns/round-trips",
    "/patterns/round-trips?run=none",
    "/patterns/key-names",
    "/patterns/key-names?names=a%20b%0A%3A%3A%0A%7B%7D%0AUser.1%40x.example%0Axxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "/stats",
    "/structures",
    "/structures/strings",
    "/structures/streams",
    "/nowhere",
    "/patterns",
    "/patterns/expiring-key?run=none",
    "/patterns/rate-limiter",
];

#[tokio::test]
async fn no_page_scrolls_sideways_nor_breaks_a_rule_of_axe() {
    every_page_keeps_the_rules(DESK).await;
}

#[tokio::test]
async fn no_page_does_on_a_phone_either() {
    every_page_keeps_the_rules(PHONE).await;
}

async fn every_page_keeps_the_rules(look: Look) {
    let hitrate = Hitrate::start();
    let axe = axe();
    let ran = hitrate.post("/stampede", "visitors=1000&delay_ms=100");
    let timed = hitrate.post("/patterns/round-trips", "count=100&round_trip=0.5");
    assert_eq!((ran.status, timed.status), (303, 303));
    let long = "x".repeat(64);
    let browser = Browser::open(look).await;
    browser.visit(&hitrate, "/patterns/expiring-key").await;
    browser.visit(&hitrate, "/sessions").await;
    browser.fill("#username", &long).await;
    browser.click("form.ask button").await;
    browser.await_text(".moments", "Retrieved").await;
    browser.visit(&hitrate, "/console").await;
    for (command, reply) in [("SET a 1", "OK"), ("HGETALL a", "WRONGTYPE")] {
        browser.fill("#command", command).await;
        browser.click("form.console-prompt button").await;
        browser.await_text(".console-reply", reply).await;
    }
    let unknown = format!("/profiles?id={long}");
    let mut played = Vec::new();
    for (slug, form) in [
        ("distributed-lock", "act=acquire".to_owned()),
        ("distributed-lock", "act=trial&actors=50".to_owned()),
        ("trending-topics", "act=example".to_owned()),
        ("api-response-cache", format!("act=call&params={long}")),
        ("user-feed", "act=fill".to_owned()),
        ("unique-visitors", "act=many".to_owned()),
        ("publish-subscribe", format!("act=publish&text={long}")),
    ] {
        let cookie = browser.visitor().await;
        let headers = [("cookie", cookie.as_str())];
        let posted = hitrate.post_with(&format!("/patterns/{slug}"), &form, &headers);
        played.push(posted.header("location").to_owned());
    }
    let run = hitrate.post("/strategies", "act=run&policy=write-behind");
    let more = [&unknown, run.header("location"), ran.header("location"), timed.header("location")];
    let played = played.iter().map(String::as_str);
    for path in PAGES.iter().copied().chain(more).chain(played) {
        browser.visit(&hitrate, path).await;
        browser.keeps_the_rules(look, path, axe.as_deref()).await;
    }
    for structure in hitrate::labs::structures::ALL {
        let path = format!("/structures/{}", structure.slug);
        browser.visit(&hitrate, &path).await;
        browser.click("button[value=example]").await;
        browser.await_text(".outcome", "The whole example").await;
        browser.click(".trace-fold summary").await;
        browser.keeps_the_rules(look, &path, axe.as_deref()).await;
    }
    browser.close().await;
}

/// At both widths, with scripts and without; structures with scripts are played above.
#[tokio::test]
async fn every_structure_and_every_pattern_is_played() {
    let hitrate = Hitrate::start();
    let looks = [DESK, PHONE].into_iter();
    for look in looks.flat_map(|look| [look, Look { scripts: false, ..look }]) {
        let browser = Browser::open(look).await;
        for structure in hitrate::labs::structures::ALL.iter().filter(|_| !look.scripts) {
            let path = format!("/structures/{}", structure.slug);
            browser.visit(&hitrate, &path).await;
            browser.click("button[value=example]").await;
            browser.await_text(".outcome", "The whole example").await;
            browser.keeps_the_rules(look, &path, None).await;
        }
        for pattern in hitrate::labs::patterns::ALL {
            let path = format!("/patterns/{}", pattern.slug);
            browser.visit(&hitrate, &path).await;
            browser.click(&format!("button[value={}]", pattern.acts[0].id)).await;
            browser.await_text(".pattern-told li", "").await;
            browser.keeps_the_rules(look, &path, None).await;
        }
        browser.close().await;
    }
}

/// axe-core, where `bin/test` could fetch it.
fn axe() -> Option<String> {
    Some(fs::read_to_string(node_modules()?.join("axe-core/axe.min.js")).unwrap())
}
