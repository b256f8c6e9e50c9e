//! What a value takes as it grows.

use serde_json::{Value, json};

use super::Player;
use crate::harness::{Hitrate, Redis, setup};

#[test]
fn growing_changes_the_encoding() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for (slug, threshold, was, is) in [
        ("strings", 44, "embstr", "raw"),
        ("hashes", 0, "", "hashtable"),
        ("sets", 512, "intset", ""),
        ("sorted-sets", 128, "", "skiplist"),
        ("geospatial", 128, "", "skiplist"),
        ("hyperloglog", 3_000, "sparse", "dense"),
    ] {
        let grown = player.play(slug, "act=grow")["grown"].clone();
        let (before, after) = (&grown["before"], &grown["after"]);
        assert_ne!(before["encoding"], after["encoding"], "{slug}: {grown}");
        let holds = |wanted: &str, size: &Value| wanted.is_empty() || size["encoding"] == wanted;
        assert!(holds(was, before) && holds(is, after), "{slug}: {grown}");
        assert!(threshold == 0 || grown["threshold"] == threshold, "{slug}: {grown}");
        assert!(
            after["memory_bytes"].as_u64() > before["memory_bytes"].as_u64(),
            "{slug}: {grown}"
        );
        assert!(player.page(slug).contains(" changes from "), "{slug}");
        if slug != "strings" {
            let again = player.play(slug, "act=grow")["grown"]["message"].clone();
            assert!(again.as_str().unwrap().contains("does not go back"), "{slug}: {again}");
        }
    }
    for slug in ["lists", "bitmaps", "streams"] {
        let grown = player.play(slug, "act=grow")["grown"].clone();
        let bytes = |size: &str| grown[size]["memory_bytes"].as_u64().unwrap();
        assert!(bytes("after") > bytes("before"), "{slug}: {grown}");
    }
}

#[test]
fn a_threshold_that_may_not_be_asked_for_is_the_usual_one() {
    let redis = Redis::start();
    redis.run(&["ACL", "SETUSER", "default", "-config"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    let grown = player.play("hashes", "act=grow")["grown"].clone();
    assert_eq!((&grown["was_told"], &grown["threshold"]), (&json!(false), &json!(512)));
    assert!(player.page("hashes").contains("the server does not report it"));
    let page = hitrate.get("/").body;
    assert!(
        !page.contains("Redis denied access"),
        "that is no news about hitrate's rights: {page}"
    );
}
