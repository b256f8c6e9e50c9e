//! Cached copies stay correct through a fault: none is outdated, and a corrupt one is replaced.

use std::{sync::Arc, thread, time::Duration};

use super::{BACK, JSON, assert_no_panic, assert_normal_within, in_time};
use crate::harness::{TestRedis, eventually, setup};

#[test]
fn an_edit_made_while_redis_was_away_is_not_hidden_by_an_old_copy() {
    let mut redis = TestRedis::with_args(&["--appendonly", "yes"]).unwrap();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache");
    redis.kill();
    let headers = [("content-type", "application/x-www-form-urlencoded"), JSON];
    let saved =
        hitrate.send("POST", "/profiles/123", &headers, "name=Ann&email=a%40example.com&age=31");
    assert_eq!(saved.status, 200, "the database has it: {saved:?}");
    assert!(
        saved.json()["invalidated"].is_null()
            && saved.json()["message"].as_str().unwrap().contains("the invalidation is deferred")
    );
    let done = [("cookie", "hitrate_done=edit")];
    let page = hitrate.get_with("/profiles?id=123", &done).body;
    assert!(page.contains("Saved in the database. The invalidation is deferred"), "{page}");
    redis.restart();
    eventually(BACK, "it is cached again", || {
        let told = hitrate.json("/profiles?id=123");
        assert_eq!(told["profile"]["name"], "Ann");
        told["source"] == "cache"
    });
    assert_normal_within(BACK, &hitrate);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
}

#[test]
fn a_slow_reader_does_not_bring_an_old_row_back() {
    let redis = TestRedis::start().unwrap();
    let hitrate = Arc::new(setup().redis(&redis).start());
    for round in 0..60 {
        // Readers miss up to a millisecond before and after the edit.
        redis.command(&["DEL", "hitrate:profile:123"]);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let hitrate = Arc::clone(&hitrate);
                thread::spawn(move || hitrate.get("/profiles?id=123&delay_ms=1"))
            })
            .collect();
        thread::sleep(Duration::from_micros(round * 70));
        // A pause delays fills that were sent before the edit until after it.
        if round % 3 == 0 {
            redis.command(&["CLIENT", "PAUSE", "60"]);
        }
        let form = format!("name=Edition+{round}&email=a%40example.com&age=31");
        assert_eq!(hitrate.post("/profiles/123", &form).status, 303);
        for reader in readers {
            reader.join().unwrap();
        }
        let seen = hitrate.json("/profiles?id=123&delay_ms=0");
        assert_eq!(seen["profile"]["name"], format!("Edition {round}"), "{seen}");
    }
}

#[test]
fn a_copy_that_could_not_be_taken_back_stays_unused() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31").status, 303);
    // Longer than the second after which a deferred invalidation is retried.
    for _ in 0..8 {
        let seen = hitrate.json("/profiles?id=123");
        assert_eq!(
            (&seen["profile"]["name"], &seen["source"]),
            (&"Ann".into(), &"database".into())
        );
        assert!(seen["message"].as_str().unwrap().contains("an outdated copy"), "{seen}");
        thread::sleep(Duration::from_millis(200));
    }
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    eventually(BACK, "the copy is replaced", || {
        hitrate.json("/profiles?id=123")["source"] == "cache"
    });
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
}

#[test]
fn an_edit_is_not_undone_by_a_restart_before_redis_could_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = TestRedis::with_args(&["--appendonly", "yes"]).unwrap();
    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.kill();
    assert_eq!(hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31").status, 303);
    hitrate.end("KILL");
    redis.restart();
    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
}

#[test]
fn garbage_at_our_key_is_a_miss_that_is_overwritten_and_told_once() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let deep = "[".repeat(60_000);
    let large = "x".repeat(5_000_000);
    let other = r#"{"version":9,"value":{"user_id":"456","name":"Alice","email":"a@example.com","age":30}}"#;
    let garbage = [
        "",
        "{\"version\":999999,",
        "{\"version\":7,\"value\":null}",
        "null",
        "true",
        "\u{0}\u{1}",
        other,
        &deep,
        &large,
    ];
    // The row, or this process's own copy of it where the machine is too busy to load the
    // row within the soft timeout. Never the garbage.
    let is_answered = || {
        let lookup = in_time(hitrate.get_with("/profiles?id=123", &[JSON])).json();
        assert_eq!(lookup["profile"]["age"], 22, "{lookup}");
        assert!(["database", "stale"].contains(&lookup["source"].as_str().unwrap()), "{lookup}");
        eventually(BACK, "it is healed", || hitrate.json("/profiles?id=123")["source"] == "cache");
    };
    for value in garbage {
        redis.command(&["SET", "hitrate:profile:123", value]);
        is_answered();
    }
    redis.command(&["DEL", "hitrate:profile:123"]);
    redis.command(&["LPUSH", "hitrate:profile:123", "x"]);
    is_answered();
    // The metric counts them; the log names the first, and no key.
    let all = garbage.len() + 1;
    let replaced = format!("hitrate_replaced_entries_total{{prefix=\"profile\"}} {all}");
    eventually(BACK, "all are counted", || hitrate.get("/metrics").body.contains(&replaced));
    assert_eq!(hitrate.logged("was overwritten"), 1, "{}", hitrate.log());
    assert_eq!(hitrate.logged("profile:123"), 0, "{}", hitrate.log());
    // A counter that is not a number is reported, and the page is still served.
    for bad in ["many", "-5", "9223372036854775807"] {
        redis.command(&["SET", "hitrate:page_hits", bad]);
        let page = in_time(hitrate.get("/")).body;
        assert!(
            page.contains("This visit was not counted: its key in Redis does not hold a number"),
            "{bad}"
        );
    }
    assert_eq!(hitrate.logged("The counter's key"), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}
