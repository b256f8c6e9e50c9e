use std::{sync::Arc, thread};

use crate::harness::Hitrate;

#[test]
fn each_visit_is_one_more() {
    let hitrate = Hitrate::start();
    assert!(hitrate.get("/").body.contains("This page has been visited 1 time."));
    assert!(hitrate.get("/").body.contains("This page has been visited 2 times."));
    let third = hitrate.json("/");
    assert_eq!(third["hits"], 3);
    assert_eq!(third["message"], "This page has been visited 3 times.");
    assert_eq!(third["trace"][0]["command"], "INCR hitrate:page_hits");
    assert_eq!(third["trace"].as_array().unwrap().len(), 1, "one command a visit");
}

#[test]
fn a_thousand_visits_at_once_add_exactly_a_thousand() {
    let hitrate = Arc::new(Hitrate::start());
    let visitors: Vec<_> = (0..100)
        .map(|_| {
            let hitrate = Arc::clone(&hitrate);
            thread::spawn(move || {
                (0..10).map(|_| hitrate.json("/")["hits"].as_u64().unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut seen: Vec<_> = visitors.into_iter().flat_map(|it| it.join().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=1000).collect::<Vec<_>>(), "each visitor got a number of their own");
}

#[test]
fn looking_ahead_does_not_count() {
    let hitrate = Hitrate::start();
    assert_eq!(hitrate.send("HEAD", "/", &[], "").status, 200);
    let ahead = [("sec-purpose", "Prefetch;Prerender"), ("accept", "application/json")];
    let ahead = hitrate.get_with("/", &ahead).json();
    assert!(ahead["hits"].is_null(), "{ahead}");
    assert_eq!(hitrate.json("/")["hits"], 1);
}

#[test]
fn the_counter_has_a_prefix_of_its_own() {
    let hitrate = crate::harness::setup().set("HITRATE_KEY_PREFIX", "other:").start();
    hitrate.get("/");
    let hits: u64 =
        redis::cmd("GET").arg("other:page_hits").query(&mut hitrate.own_redis()).unwrap();
    assert_eq!(hits, 1);
}
