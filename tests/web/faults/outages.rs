//! Redis goes away and comes back: killed, frozen, restarted.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    BACK, JSON, PAGE, assert_down, assert_no_panic, assert_normal_within,
    assert_serves_without_redis, conditions_told, in_time,
};
use crate::harness::{BUSY, TestRedis, eventually, is_kept, setup};

#[test]
fn redis_was_never_there_and_then_comes() {
    let mut redis = TestRedis::start().unwrap();
    redis.kill();
    let hitrate = setup().redis(&redis).start();
    assert_eq!(hitrate.logged("retrying in 1 s"), 1, "{}", hitrate.log());
    assert_eq!(hitrate.logged("retrying in 3 s"), 1);
    assert_serves_without_redis(&hitrate);
    assert_down(&hitrate);
    assert_eq!(conditions_told(&hitrate), 1, "logged once, not per request:\n{}", hitrate.log());
    redis.restart();
    assert_normal_within(BACK, &hitrate);
    eventually(BACK, "the log reports the recovery", || hitrate.logged("recovered after") == 1);
    assert_no_panic(&hitrate);
}

#[test]
fn everything_is_normal_within_two_seconds_of_redis_s_return() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let is_soon = is_kept(BACK, || {
        redis.kill();
        assert_down(&hitrate);
        redis.restart();
        let start = Instant::now();
        assert_normal_within(BACK, &hitrate);
        start.elapsed()
    });
    assert!(is_soon, "slower in five attempts");
}

#[test]
fn redis_is_killed_under_load_and_comes_back() {
    let mut redis = TestRedis::with_args(&["--appendonly", "yes"]).unwrap();
    let hitrate = Arc::new(setup().redis(&redis).start());
    let stop = Arc::new(AtomicBool::new(false));
    let visitors: Vec<_> = (0..4)
        .map(|visitor| {
            let (hitrate, stop) = (Arc::clone(&hitrate), Arc::clone(&stop));
            thread::spawn(move || {
                let mut counted = 0_u64;
                let mut slowest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let visit = hitrate.get_with("/", &[JSON]);
                    assert_eq!(visit.status, 200);
                    counted += u64::from(visit.json()["hits"].is_u64());
                    let lookup =
                        hitrate.get(&format!("/profiles?id={}", [123, 456, 789, 501][visitor]));
                    assert_eq!(lookup.status, 200);
                    slowest = slowest.max(visit.took).max(lookup.took);
                }
                (counted, slowest)
            })
        })
        .collect();
    let hits = || redis.command(&["GET", "hitrate:page_hits"]).parse::<u64>();
    eventually(BACK, "visits are counted", || hits().is_ok_and(|hits| hits > 50));
    redis.kill();
    assert_down(&hitrate);
    assert_serves_without_redis(&hitrate);
    redis.restart();
    assert_normal_within(BACK, &hitrate);
    stop.store(true, Ordering::Relaxed);
    let mut counted = 0;
    for visitor in visitors {
        let (visits, slowest) = visitor.join().unwrap();
        counted += visits;
        assert!(slowest < PAGE * BUSY, "{slowest:?}");
    }
    let hits: u64 = redis.command(&["GET", "hitrate:page_hits"]).parse().unwrap();
    assert!(hits >= counted, "{counted} visits received a number, but Redis counted {hits}");
    assert_eq!(hitrate.logged("Redis can't be reached"), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}

#[test]
fn redis_freezes_and_thaws() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    assert_normal_within(BACK, &hitrate);
    redis.freeze();
    let first = in_time(hitrate.get("/"));
    let slow =
        "This visit was not counted: Redis did not reply in time. It may still be counted later.";
    assert!(first.body.contains(slow), "{}", first.body);
    let unasked = "This visit was not counted: Redis is not responding.";
    eventually(PAGE, "Redis is not called for later visits", || {
        hitrate.get("/").body.contains(unasked)
    });
    assert_serves_without_redis(&hitrate);
    assert_down(&hitrate);
    // Shorter than the timeout of a command.
    let is_quick = is_kept(Duration::from_millis(200), || hitrate.get("/profiles?id=789").took);
    assert!(is_quick, "no request waits for a frozen Redis again");
    redis.thaw();
    assert_normal_within(BACK, &hitrate);
    assert_eq!(conditions_told(&hitrate), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}

#[test]
fn redis_restarts_empty() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    for _ in 0..100 {
        hitrate.get("/");
    }
    let cookie = hitrate.post("/sessions", "username=qiross").cookie().to_owned();
    redis.restart();
    assert_normal_within(BACK, &hitrate);
    assert!(hitrate.json("/")["hits"].as_u64().unwrap() < 100, "the counter starts from zero");
    let session = hitrate.get_with("/sessions", &[("cookie", &cookie), JSON]).json();
    assert_eq!(session["message"], "username does not exist or has expired.");
    assert_no_panic(&hitrate);
}

#[test]
fn one_quick_restart_of_an_idle_redis_is_told_once() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    redis.restart();
    assert_normal_within(BACK, &hitrate);
    eventually(BACK, "the log reports the recovery", || hitrate.logged("recovered after") == 1);
    // Long enough for the next ping to log a failure.
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(hitrate.logged("Redis can't be reached"), 1, "{}", hitrate.log());
}

#[test]
fn a_session_that_can_not_be_ended_is_not_said_to_be() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let cookie = hitrate.post("/sessions", "username=qiross&ttl=600").cookie().to_owned();
    redis.kill();
    assert_eq!(hitrate.post_with("/sessions/end", "", &[("cookie", &cookie)]).status, 503);
}

#[test]
fn a_visitor_who_leaves_in_the_middle_harms_nobody() {
    let hitrate = setup().set("HITRATE_DATABASE_DELAY", "300ms").start();
    for n in 0..50 {
        let mut stream = hitrate.connect();
        let request =
            format!("GET /profiles?id=456&x HTTP/1.1\r\nHost: {}\r\n\r\n", hitrate.address);
        let request = if n % 2 == 0 { request.replace("&x", "") } else { request };
        stream.write_all(request.as_bytes()).unwrap();
    }
    let told = hitrate.json("/profiles?id=123&delay_ms=0");
    assert_eq!(told["profile"]["name"], "Shaunak Dhande");
    eventually(Duration::from_secs(2), "the next visitor is served normally", || {
        hitrate.json("/profiles?id=456")["source"] == "cache"
    });
    assert_no_panic(&hitrate);
}
