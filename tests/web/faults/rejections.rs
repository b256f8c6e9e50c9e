//! Redis answers and rejects commands: full, read-only, or access denied.

use super::{
    BACK, JSON, assert_down, assert_no_panic, assert_normal_within, assert_serves_without_redis,
    conditions_told, in_time,
};
use crate::{
    harness::{Hitrate, TestRedis, eventually, setup},
    proxy::Proxy,
};

/// Asserts that cached values stay readable while Redis rejects writes, and that pages
/// name the reason.
fn assert_serves_without_writes(hitrate: &Hitrate, why: &str) {
    for _ in 0..3 {
        let page = in_time(hitrate.get("/"));
        assert!(page.body.contains(&format!("This visit was not counted: {why}")), "{}", page.body);
        assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache", "reads still hit");
        let miss = in_time(hitrate.get_with("/profiles?id=789", &[JSON])).json();
        assert_eq!(miss["source"], "database");
        assert!(miss["message"].as_str().unwrap().contains(why), "{miss}");
        assert_eq!(hitrate.post("/sessions", "username=qiross").status, 503);
    }
    eventually(BACK, "the panel reports it", || {
        hitrate.json("/stats")["redis"]["state"] == "refusing-writes"
    });
    assert_eq!(conditions_told(hitrate), 1, "{}", hitrate.log());
}

#[test]
fn redis_is_full() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_serves_without_writes(&hitrate, "Redis has reached maxmemory and rejects writes");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

#[test]
fn redis_becomes_a_read_only_replica() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_serves_without_writes(&hitrate, "Redis is read-only");
    // The invalidation of this edit fails, and still no stale copy is served.
    let saved = hitrate.post("/profiles/123", "name=Ann&email=ann%40example.com&age=31");
    assert_eq!(saved.status, 303);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    assert_normal_within(BACK, &hitrate);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    assert_no_panic(&hitrate);
}

#[test]
fn the_password_is_wrong_and_is_never_shown() {
    let redis = TestRedis::with_args(&["--requirepass", "right"]).unwrap();
    let proxy = Proxy::before(&redis);
    let url = format!("redis://:sesame-wrong@127.0.0.1:{}", proxy.port);
    let hitrate = setup().set("REDIS_URL", url).start();
    assert_serves_without_redis(&hitrate);
    assert_down(&hitrate);
    assert!(
        hitrate.get("/").body.contains("Redis denied access: check the password and the ACL rules")
    );
    for shown in [hitrate.log(), hitrate.get("/stats").body, hitrate.get("/").body] {
        assert!(!shown.contains("sesame"), "{shown}");
    }
    assert_eq!(conditions_told(&hitrate), 1, "{}", hitrate.log());
    let client = redis::Client::open(format!("redis://:right@127.0.0.1:{}", proxy.port)).unwrap();
    let mut admin = client.get_connection().unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "sesame-wrong"]).exec(&mut admin).unwrap();
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

#[test]
fn a_refusal_that_ends_is_noticed_without_a_visitor() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let state = || hitrate.json("/stats")["redis"]["state"].clone();
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..5 {
        hitrate.get("/");
        // Redis still accepts DEL; its success must not count as a recovery.
        hitrate.post("/sessions/end", "");
        hitrate.post("/profiles/123/invalidate", "");
    }
    eventually(BACK, "the panel reports it", || state() == "refusing-writes");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually(BACK, "the panel reports the recovery", || state() == "up");
    let told = conditions_told(&hitrate);
    // That of writes, and that of deferred invalidations if one was replayed meanwhile.
    assert!((1..=2).contains(&told), "{told}: {}", hitrate.log());
}

#[test]
fn rights_that_were_taken_away_are_named_on_page_panel_and_log() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    redis.command(&["ACL", "SETUSER", "default", "-incr"]);
    for _ in 0..3 {
        assert!(
            hitrate
                .get("/")
                .body
                .contains("Redis denied access: check the password and the ACL rules")
        );
    }
    eventually(BACK, "the panel reports it", || hitrate.json("/stats")["redis"]["state"] != "up");
    assert!(hitrate.logged("Redis denied access: check the password and the ACL rules") >= 1);
}
