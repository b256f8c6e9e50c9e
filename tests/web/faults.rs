//! Redis breaks for real here: it is killed, frozen, emptied, filled, and told to
//! refuse. Pages go on.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Answer, BUSY, Hitrate, Redis, eventually, is_kept, setup};

pub const JSON: (&str, &str) = ("accept", "application/json");
/// What a page may take when something is broken; there is no simulated latency here.
pub const PAGE: Duration = Duration::from_millis(500);
/// Within this everything is normal again.
pub const BACK: Duration = Duration::from_secs(2);

/// Every page answers, at least once as soon as is promised, and says what is off.
fn assert_serves_without_redis(hitrate: &Hitrate) {
    assert!(is_kept(PAGE, || slowest_page_without_redis(hitrate)), "five times it was too long");
}

/// Looks at every page; returns what the slowest one took.
fn slowest_page_without_redis(hitrate: &Hitrate) -> Duration {
    let page = in_time(hitrate.get("/"));
    assert!(page.body.contains("This visit was not counted: Redis"), "{}", page.body);
    assert!(hitrate.json("/")["hits"].is_null());
    let lookup = in_time(hitrate.get_with("/profiles?id=123", &[JSON]));
    // Another visitor may have asked for the same a moment before.
    let status = lookup.header("cache-status").trim_end_matches("; collapsed");
    assert_eq!(status, "hitrate; fwd=uri-miss");
    let told = lookup.json();
    assert_eq!((&told["source"], &told["profile"]["age"]), (&"database".into(), &22.into()));
    assert!(
        told["message"].as_str().unwrap().contains("It was not stored in Redis: Redis"),
        "{told}"
    );
    let other = in_time(hitrate.get("/profiles?id=456"));
    let product = in_time(hitrate.get("/product"));
    assert!(product.body.contains("\"db\""));
    let stats = in_time(hitrate.get("/stats"));
    let cookie = format!("hitrate_session={}", "0".repeat(32));
    let session = in_time(hitrate.get_with("/sessions", &[("cookie", &cookie)]));
    assert!(session.body.contains("Your session can&#39;t be read: Redis"), "{}", session.body);
    let start = hitrate.post("/sessions", "username=qiross");
    assert_eq!((start.status, start.header("retry-after")), (503, "1"));
    assert_eq!(hitrate.get("/healthz").status, 200);
    let pages = [page, lookup, other, product, stats, session];
    pages.map(|answer| answer.took).into_iter().max().unwrap()
}

pub fn in_time(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.took < PAGE * BUSY, "{:?} is too long", answer.took);
    answer
}

pub fn assert_down(hitrate: &Hitrate) {
    eventually(Duration::from_secs(2), "readiness tells that Redis is down", || {
        hitrate.get("/readyz").body == r#"{"redis":"down","database":"up"}"#
    });
    assert_eq!(hitrate.get("/readyz").status, 200, "hitrate serves without");
}

/// Counts, caches and starts sessions again, without a restart, and on every
/// worker: several visits in a row, and all connections up.
pub fn assert_normal_within(limit: Duration, hitrate: &Hitrate) {
    eventually(limit, "everything is normal again", || {
        hitrate.get("/readyz").body.contains("\"redis\":\"up\"")
            && (0..6).all(|_| hitrate.json("/")["hits"].is_u64())
            && (0..4).any(|_| hitrate.json("/profiles?id=456")["source"] == "cache")
            && hitrate.post("/sessions", "username=qiross").status == 303
    });
}

pub fn assert_no_panic(hitrate: &Hitrate) {
    assert_eq!(hitrate.logged("panicked"), 0, "{}", hitrate.log());
}

/// How often the log said that something does not work any more, but for what the
/// flusher says of itself: it may notice, too, or not yet.
pub fn conditions_told(hitrate: &Hitrate) -> usize {
    let log = hitrate.log();
    let told = log.lines().filter(|line| line.contains("WARN  hitrate_cache::condition"));
    told.filter(|line| !line.contains("Write-behind")).count()
}

#[test]
fn redis_was_never_there_and_then_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let hitrate = setup().redis(&redis).start();
    assert_eq!(hitrate.logged("retrying in 1 s"), 1, "{}", hitrate.log());
    assert_eq!(hitrate.logged("retrying in 3 s"), 1);
    assert_serves_without_redis(&hitrate);
    assert_down(&hitrate);
    assert_eq!(conditions_told(&hitrate), 1, "once, not per request:\n{}", hitrate.log());
    redis.restart(&[]);
    assert_normal_within(BACK, &hitrate);
    eventually(BACK, "the log tells that it is back", || hitrate.logged("recovered after") == 1);
    assert_no_panic(&hitrate);
}

#[test]
fn everything_is_normal_within_two_seconds_of_redis_s_return() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let is_soon = is_kept(BACK, || {
        redis.kill();
        assert_down(&hitrate);
        redis.restart(&[]);
        let start = Instant::now();
        assert_normal_within(BACK, &hitrate);
        start.elapsed()
    });
    assert!(is_soon, "five times it took longer");
}

#[test]
fn redis_is_killed_under_load_and_comes_back() {
    let mut redis = Redis::with(&["--appendonly", "yes"]);
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
    let hits = || -> Option<u64> {
        redis::from_redis_value(redis.run(&["GET", "hitrate:page_hits"])).unwrap()
    };
    eventually(BACK, "visits are counted", || hits() > Some(50));
    redis.kill();
    assert_down(&hitrate);
    assert_serves_without_redis(&hitrate);
    redis.restart(&["--appendonly", "yes"]);
    assert_normal_within(BACK, &hitrate);
    stop.store(true, Ordering::Relaxed);
    let mut counted = 0;
    for visitor in visitors {
        let (visits, slowest) = visitor.join().unwrap();
        counted += visits;
        assert!(slowest < PAGE * BUSY, "{slowest:?}");
    }
    let hits: u64 = redis::from_redis_value(redis.run(&["GET", "hitrate:page_hits"])).unwrap();
    assert!(hits >= counted, "{counted} visits were told a number, Redis has {hits}");
    assert_eq!(hitrate.logged("Redis can't be reached"), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}

#[test]
fn redis_freezes_and_thaws() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    assert_normal_within(BACK, &hitrate);
    redis.signal("STOP");
    let first = in_time(hitrate.get("/"));
    let slow =
        "This visit was not counted: Redis did not reply in time. It may still be counted later.";
    assert!(first.body.contains(slow), "{}", first.body);
    let unasked = "This visit was not counted: Redis is not responding.";
    eventually(PAGE, "a later visit is not sent", || hitrate.get("/").body.contains(unasked));
    assert_serves_without_redis(&hitrate);
    assert_down(&hitrate);
    // Shorter than a command's deadline.
    let is_quick = is_kept(Duration::from_millis(200), || hitrate.get("/profiles?id=789").took);
    assert!(is_quick, "nobody waits for a frozen Redis twice");
    redis.signal("CONT");
    assert_normal_within(BACK, &hitrate);
    assert_eq!(conditions_told(&hitrate), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}

#[test]
fn redis_restarts_empty() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    for _ in 0..100 {
        hitrate.get("/");
    }
    let cookie = hitrate.post("/sessions", "username=qiross").cookie().to_owned();
    redis.restart(&[]);
    assert_normal_within(BACK, &hitrate);
    assert!(hitrate.json("/")["hits"].as_u64().unwrap() < 100, "counting starts anew");
    let session = hitrate.get_with("/sessions", &[("cookie", &cookie), JSON]).json();
    assert_eq!(session["message"], "username does not exist or has expired.");
    assert_no_panic(&hitrate);
}

/// Redis takes no writes: what is cached stays readable, the rest is told.
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
    eventually(BACK, "the panel tells it", || {
        hitrate.json("/stats")["redis"]["state"] == "refusing-writes"
    });
    assert_eq!(conditions_told(hitrate), 1, "{}", hitrate.log());
}

#[test]
fn redis_is_full() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.run(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_serves_without_writes(&hitrate, "Redis has reached maxmemory and rejects writes");
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

#[test]
fn redis_becomes_a_read_only_replica() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.run(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_serves_without_writes(&hitrate, "Redis is read-only");
    // An edit that the cache could not be told of is still not served stale.
    let saved = hitrate.post("/profiles/123", "name=Ann&email=ann%40example.com&age=31");
    assert_eq!(saved.status, 303);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    redis.run(&["REPLICAOF", "NO", "ONE"]);
    assert_normal_within(BACK, &hitrate);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    assert_no_panic(&hitrate);
}

#[test]
fn the_password_is_wrong_and_is_never_shown() {
    let redis = Redis::with(&["--requirepass", "right"]);
    let url = format!("redis://:sesame-wrong@127.0.0.1:{}", redis.port);
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
    let client = redis::Client::open(format!("redis://:right@127.0.0.1:{}", redis.port)).unwrap();
    let mut admin = client.get_connection().unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "sesame-wrong"]).exec(&mut admin).unwrap();
    assert_normal_within(BACK, &hitrate);
    assert_no_panic(&hitrate);
}

#[test]
fn an_edit_made_while_redis_was_away_is_not_hidden_by_an_old_copy() {
    let mut redis = Redis::with(&["--appendonly", "yes"]);
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
    redis.restart(&["--appendonly", "yes"]);
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
    let redis = Redis::start();
    let hitrate = Arc::new(setup().redis(&redis).start());
    for round in 0..60 {
        // Readers who miss, a millisecond before and after the edit.
        redis.run(&["DEL", "hitrate:profile:123"]);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let hitrate = Arc::clone(&hitrate);
                thread::spawn(move || hitrate.get("/profiles?id=123&delay_ms=1"))
            })
            .collect();
        thread::sleep(Duration::from_micros(round * 70));
        // A pause lets what was sent before the edit arrive after it.
        if round % 3 == 0 {
            redis.run(&["CLIENT", "PAUSE", "60"]);
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
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31").status, 303);
    // Longer than the second after which what is deferred is tried again.
    for _ in 0..8 {
        let seen = hitrate.json("/profiles?id=123");
        assert_eq!(
            (&seen["profile"]["name"], &seen["source"]),
            (&"Ann".into(), &"database".into())
        );
        assert!(seen["message"].as_str().unwrap().contains("an outdated copy"), "{seen}");
        thread::sleep(Duration::from_millis(200));
    }
    redis.run(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    eventually(BACK, "the copy is replaced", || {
        hitrate.json("/profiles?id=123")["source"] == "cache"
    });
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
}

#[test]
fn an_edit_is_not_undone_by_a_restart_before_redis_could_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = Redis::with(&["--appendonly", "yes"]);
    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    hitrate.get("/profiles?id=123");
    redis.kill();
    assert_eq!(hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31").status, 303);
    hitrate.end("KILL");
    redis.restart(&["--appendonly", "yes"]);
    let hitrate = setup().in_dir(dir.path()).redis(&redis).start();
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
}

#[test]
fn a_session_that_can_not_be_ended_is_not_said_to_be() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let cookie = hitrate.post("/sessions", "username=qiross&ttl=600").cookie().to_owned();
    redis.kill();
    assert_eq!(hitrate.post_with("/sessions/end", "", &[("cookie", &cookie)]).status, 503);
}

#[test]
fn a_refusal_that_ends_is_noticed_without_a_visitor() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    let state = || hitrate.json("/stats")["redis"]["state"].clone();
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    for _ in 0..5 {
        hitrate.get("/");
        // Removing works when all else is refused, and must not count as well.
        hitrate.post("/sessions/end", "");
        hitrate.post("/profiles/123/invalidate", "");
    }
    eventually(BACK, "the panel tells it", || state() == "refusing-writes");
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually(BACK, "the panel is well again", || state() == "up");
    assert_eq!(conditions_told(&hitrate), 1, "{}", hitrate.log());
}

#[test]
fn rights_that_were_taken_away_are_named_on_page_panel_and_log() {
    let redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    redis.run(&["ACL", "SETUSER", "default", "-incr"]);
    for _ in 0..3 {
        assert!(
            hitrate
                .get("/")
                .body
                .contains("Redis denied access: check the password and the ACL rules")
        );
    }
    eventually(BACK, "the panel tells it", || hitrate.json("/stats")["redis"]["state"] != "up");
    assert!(hitrate.logged("Redis denied access: check the password and the ACL rules") >= 1);
}

#[test]
fn one_quick_restart_of_an_idle_redis_is_told_once() {
    let mut redis = Redis::start();
    let hitrate = setup().redis(&redis).start();
    redis.restart(&[]);
    assert_normal_within(BACK, &hitrate);
    eventually(BACK, "the log tells that it is back", || hitrate.logged("recovered after") == 1);
    // Long enough for the next ping to find something to tell.
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(hitrate.logged("Redis can't be reached"), 1, "{}", hitrate.log());
}

#[test]
fn garbage_at_our_key_is_a_miss_that_is_overwritten_and_told_once() {
    let redis = Redis::start();
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
    for (told, value) in garbage.iter().enumerate() {
        redis.run(&["SET", "hitrate:profile:123", value]);
        let lookup = in_time(hitrate.get_with("/profiles?id=123", &[JSON])).json();
        assert_eq!(
            (&lookup["source"], &lookup["profile"]["age"]),
            (&"database".into(), &22.into())
        );
        assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache", "healed");
        assert_eq!(hitrate.logged("was overwritten"), told + 1, "{}", hitrate.log());
    }
    redis.run(&["DEL", "hitrate:profile:123"]);
    redis.run(&["LPUSH", "hitrate:profile:123", "x"]);
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "database");
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache");
    assert_eq!(hitrate.logged("a value of another type and was overwritten"), 1);
    // A counter that is no number is told, and the page is still there.
    for bad in ["many", "-5", "9223372036854775807"] {
        redis.run(&["SET", "hitrate:page_hits", bad]);
        let page = in_time(hitrate.get("/")).body;
        assert!(
            page.contains("This visit was not counted: its key in Redis does not hold a number"),
            "{bad}"
        );
    }
    assert_eq!(hitrate.logged("The counter's key"), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
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
    eventually(Duration::from_secs(2), "the next visitor is served as ever", || {
        hitrate.json("/profiles?id=456")["source"] == "cache"
    });
    assert_no_panic(&hitrate);
}
