//! Structures while Redis is down, frozen, full, or denies a command.

use std::time::Duration;

use hitrate::labs::structures::ALL;
use serde_json::{Value, json};

use super::Player;
use crate::{
    faults::assert_down,
    harness::{TestRedis, eventually, setup},
};

#[test]
fn the_page_works_without_redis_and_recovers() {
    let mut redis =
        TestRedis::with_args(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("lists", "act=lpush&element=kept");
    redis.kill();
    assert_down(&hitrate);
    for structure in ALL {
        let path = format!("/structures/{}", structure.slug);
        let cookies = [("cookie", player.cookie.as_str())];
        let page = hitrate.get_with(&path, &cookies);
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Redis can&#39;t be reached") && page.body.contains("Try it"));
        for form in ["act=example", "act=grow", "act=reset"] {
            let answer = player.send(structure.slug, form);
            assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{form}");
            assert!(answer.json()["picture"].is_null());
        }
        let act = format!("act={}", structure.acts[0].id);
        let answer = hitrate.post_with(&path, &act, &cookies);
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("Try it"), "the page itself: {}", answer.body);
    }
    assert_eq!(player.send("hyperloglog", "act=random").status, 503);
    assert_eq!(hitrate.get("/structures").status, 200);
    redis.restart();
    eventually(Duration::from_secs(10), "hitrate finds Redis again", || {
        player.send("lists", "act=rpush&element=new").status == 200
    });
    assert_eq!(player.look("lists")["picture"]["left"][0], "kept");
}

#[test]
fn growing_a_value_times_out_on_a_frozen_redis() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=example");
    redis.freeze();
    let answer = player.send("hashes", "act=grow");
    redis.thaw();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.took < Duration::from_secs(3), "a command's deadline: {:?}", answer.took);
}

#[test]
fn a_denied_command_is_reported_once() {
    let redis = TestRedis::start().unwrap();
    redis.command(&["ACL", "SETUSER", "default", "-memory"]);
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    for _ in 0..3 {
        player.play("sets", "act=sadd");
        assert!(player.look("sets")["picture"].is_object(), "the rest works");
    }
    assert_eq!(hitrate.logged("Redis permissions"), 1, "{}", hitrate.log());
    let grown = player.play("sets", "act=grow")["encoding_change"].clone();
    assert_eq!(
        (&grown["after"]["count"], &grown["after"]["memory_bytes"]),
        (&json!(513), &Value::Null),
        "{grown}"
    );
    assert!(!grown["message"].as_str().unwrap().contains(" B"), "no number is made up: {grown}");
}

#[test]
fn a_full_redis_returns_503_with_its_error_reply() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let player = Player::new(&hitrate);
    player.play("hashes", "act=hset");
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let answer = player.send("hashes", "act=hset");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.json()["error"].as_str().unwrap().starts_with("OOM "), "{answer:?}");
    assert!(answer.json()["picture"]["tables"][0].is_object(), "reading works");
    assert_eq!(player.send("hyperloglog", "act=random").status, 503);
}
