//! Encodings and memory of growing values.

use serde_json::{Value, json};

use super::Player;
use crate::harness::{Hitrate, TestRedis, setup};

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
        let change = player.play(slug, "act=grow")["encoding_change"].clone();
        let (before, after) = (&change["before"], &change["after"]);
        assert_ne!(before["encoding"], after["encoding"], "{slug}: {change}");
        let matches = |wanted: &str, size: &Value| wanted.is_empty() || size["encoding"] == wanted;
        assert!(matches(was, before) && matches(is, after), "{slug}: {change}");
        assert!(threshold == 0 || change["threshold"] == threshold, "{slug}: {change}");
        assert!(
            after["memory_bytes"].as_u64() > before["memory_bytes"].as_u64(),
            "{slug}: {change}"
        );
        assert!(player.page(slug).contains(" changes from "), "{slug}");
        if slug != "strings" {
            let again = player.play(slug, "act=grow")["encoding_change"]["message"].clone();
            assert!(again.as_str().unwrap().contains("does not go back"), "{slug}: {again}");
        }
    }
    for slug in ["lists", "bitmaps", "streams"] {
        let change = player.play(slug, "act=grow")["encoding_change"].clone();
        let bytes = |size: &str| change[size]["memory_bytes"].as_u64().unwrap();
        assert!(bytes("after") > bytes("before"), "{slug}: {change}");
    }
}

#[test]
fn a_denied_threshold_is_the_default() {
    let redis = TestRedis::start().unwrap();
    redis.command(&["ACL", "SETUSER", "default", "-config"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    let change = player.play("hashes", "act=grow")["encoding_change"].clone();
    assert_eq!((&change["is_from_server"], &change["threshold"]), (&json!(false), &json!(512)));
    assert!(player.page("hashes").contains("the server does not report it"));
    let page = hitrate.get("/").body;
    assert!(
        !page.contains("Redis denied access"),
        "that is no news about hitrate's rights: {page}"
    );
}
