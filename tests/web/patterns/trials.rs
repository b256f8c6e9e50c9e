//! Trials: wrong variants fail, right variants are exact.

use std::{sync::Arc, thread, time::Duration};

use hitrate::labs::patterns::{ALL, RedisPattern};
use serde_json::Value;

use super::{Visitor, keys};
use crate::{
    faults::assert_no_panic,
    harness::{Hitrate, eventually},
};

/// Right variants that are not exact, because their count is random or estimated.
const INEXACT: [&str; 2] = ["Jittered TTL", "PFADD, PFCOUNT (estimate)"];

fn variant<'a>(told: &'a Value, name: &str) -> &'a Value {
    let variants = told["trial"]["variants"].as_array().unwrap();
    variants.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} of {told}"))
}

fn tally(variant: &Value, name: &str) -> u64 {
    let also = variant["also"].as_array().unwrap();
    let found = also.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("{name} of {variant}"))["count"].as_u64().unwrap()
}

/// Whether the variant lost or exceeded something.
fn has_failed(variant: &Value) -> bool {
    let also = variant["also"].as_array().unwrap();
    let is_bad = |it: &Value| it["is_bad"] == true && it["count"] != 0;
    variant["lost"] != 0 || variant["over"] != 0 || also.iter().any(is_bad)
}

/// The purpose of the trials. Two wrong variants fail only by chance, but certainly in
/// one of several trials.
#[test]
fn with_two_hundred_actors_wrong_variants_fail_and_right_ones_are_exact() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        let went = (0..5).any(|_| every_wrong_variant_failed(&visitor, pattern));
        assert!(went, "{}: a wrong way never went wrong", pattern.slug);
    }
    assert_eq!(keys(&mut hitrate.own_redis(), "*trial:*"), Vec::<String>::new());
    assert_no_panic(&hitrate);
}

/// Whether all wrong variants failed in one trial, in which the right variants must be
/// exact.
fn every_wrong_variant_failed(visitor: &Visitor<'_>, pattern: &RedisPattern) -> bool {
    let told = visitor.play(pattern.slug, "act=trial&actors=200");
    assert_eq!(told["trial"]["actors"], 200);
    let variants = told["trial"]["variants"].as_array().unwrap();
    assert_eq!(variants.len(), pattern.trial.variants.len());
    for variant in variants {
        let is_exact = INEXACT.contains(&variant["name"].as_str().unwrap()) || !has_failed(variant);
        assert!(is_exact || variant["is_right"] == false, "{}: {variant}", pattern.slug);
        let [p50, p99, max] =
            ["p50_us", "p99_us", "max_us"].map(|it| variant[it].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99 && p99 <= max, "{variant}");
    }
    variants.iter().all(|variant| variant["is_right"] == true || has_failed(variant))
}

#[test]
fn the_trials_count_correctly() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);

    let cart = visitor.play("shopping-cart", "act=trial&actors=200&adds=3");
    assert_eq!(variant(&cart, "HINCRBY, EXPIRE")["got"], 600);
    assert_eq!(variant(&cart, "GET, modify, SET")["expected"], 600);

    let keys = visitor.play("expiring-key", "act=trial&actors=200");
    assert_eq!(variant(&keys, "SET, then EXPIRE")["lost"], 50, "every fourth is cut off");
    assert_eq!(variant(&keys, "SET … EX, then SET")["lost"], 150, "all but those");

    let limiter = visitor.play("rate-limiter", "act=trial&actors=200");
    assert_eq!(variant(&limiter, "GET, then DECRBY")["expected"], 10);
    assert_eq!(tally(variant(&limiter, "SETNX, then EXPIRE"), "without_ttl"), 1);
    assert_eq!(tally(variant(&limiter, "One script, sliding window"), "edge"), 10);
    assert!(tally(variant(&limiter, "One script, fixed window"), "edge") <= 20);

    let lock = visitor.play("distributed-lock", "act=trial&actors=200");
    assert!(tally(variant(&lock, "DEL without token"), "stolen") > 0, "{lock}");
    assert_eq!(tally(variant(&lock, "Token, without fence"), "stolen"), 0);
    let fenced = variant(&lock, "Token and fencing token");
    let acknowledged = fenced["expected"].as_u64().unwrap();
    assert_eq!((tally(fenced, "stolen"), acknowledged + tally(fenced, "refused")), (0, 200));

    let api = visitor.play("api-response-cache", "act=trial&actors=20&requests=20");
    assert_eq!(variant(&api, "Stable hash, sorted parameters")["got"], 10);
    assert_eq!(variant(&api, "Stable hash, parameters as sent")["got"], 20);

    let products = visitor.play("product-catalogue", "act=trial&actors=200");
    let busiest = |name| variant(&products, name)["got"].as_u64().unwrap();
    assert!(busiest("Fixed TTL") > 4 * busiest("Jittered TTL"), "{products}");

    let visitors = visitor.play("unique-visitors", "act=trial&actors=200&visits=50");
    let nearly = variant(&visitors, "PFADD, PFCOUNT (estimate)");
    let off = nearly["lost"].as_u64().unwrap() + nearly["over"].as_u64().unwrap();
    assert!(off <= 250, "six standard errors of 5,000: {nearly}");
    assert!(tally(nearly, "bytes") < tally(variant(&visitors, "SADD, SCARD"), "bytes"));

    let heard = visitor.play("publish-subscribe", "act=trial&actors=200");
    let late = variant(&heard, "Publish/subscribe");
    assert_eq!((&late["got"], tally(late, "early")), (&200.into(), 400));
}

#[test]
fn a_single_actor_loses_nothing() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        let told = visitor.play(pattern.slug, "act=trial&actors=1");
        let right = told["trial"]["variants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["is_right"] == true);
        for variant in right {
            assert!(!has_failed(variant), "{}: {variant}", pattern.slug);
        }
    }
}

#[test]
fn one_trial_runs_at_a_time() {
    let hitrate = Arc::new(Hitrate::start());
    let first = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || {
            let visitor = Visitor::new(&hitrate);
            eventually(Duration::from_secs(10), "it is the first one’s turn", || {
                visitor.post("distributed-lock", "act=trial&actors=50").status == 200
            });
        })
    };
    let visitor = Visitor::new(&hitrate);
    let second = || visitor.post("expiring-key", "act=trial&actors=1");
    eventually(Duration::from_secs(10), "a second one is refused while one runs", || {
        let answer = second();
        assert!(matches!(answer.status, 200 | 409), "{answer:?}");
        answer.status == 409 && answer.header("retry-after") == "3"
    });
    assert_eq!(visitor.post("expiring-key", "act=set").status, 200, "acts go on meanwhile");
    first.join().unwrap();
}
