//! What a policy does, as it is seen from outside: on the pages, in one process
//! and in two on the same Redis and database.

use std::{sync::Arc, thread, time::Duration};

use crate::harness::{BUSY, Hitrate, TestRedis, eventually, setup};

const JSON: (&str, &str) = ("accept", "application/json");
const NAMES: [&str; 8] = [
    "none",
    "cache-aside",
    "read-through",
    "near-cache",
    "write-through",
    "write-around",
    "write-behind",
    "refresh-ahead",
];

/// Two processes on one Redis and one database.
struct Two {
    redis: TestRedis,
    dir: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let redis =
            TestRedis::with_args(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
        Self { redis, dir: tempfile::tempdir().unwrap() }
    }

    fn start(&self) -> Hitrate {
        let database = format!("sqlite://{}/shared.db", self.dir.path().display());
        setup().redis(&self.redis).set("DATABASE_URL", database).start()
    }
}

fn metric(hitrate: &Hitrate, name: &str) -> u64 {
    let text = hitrate.get("/metrics").body;
    let line = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#'));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn loads(hitrate: &Hitrate) -> u64 {
    let text = hitrate.get("/metrics").body;
    let line =
        text.lines().find(|it| it.starts_with("hitrate_origin_loads_total{prefix=\"profile\"}"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn age(hitrate: &Hitrate, query: &str) -> u64 {
    hitrate.json(&format!("/profiles?id=123{query}"))["profile"]["age"].as_u64().unwrap()
}

fn edit(hitrate: &Hitrate, age: u32, policy: &str) -> serde_json::Value {
    let form = format!("name=Ann&email=ann%40example.com&age={age}&policy={policy}");
    let answer = hitrate.post_with("/profiles/123", &form, &[JSON]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn every_policy_reads_and_writes_and_says_its_name() {
    let hitrate = Hitrate::start();
    for (n, policy) in NAMES.into_iter().enumerate() {
        let age_now = 30 + u32::try_from(n).unwrap();
        let edited = edit(&hitrate, age_now, policy);
        assert_eq!(edited["policy"], policy);
        let version = edited["version"].as_u64().unwrap();
        let told = hitrate.json(&format!("/profiles?id=123&policy={policy}"));
        // The database of write-behind is behind, and so is what reads it alone.
        assert_eq!((&told["policy"], &told["version"]), (&policy.into(), &version.into()));
        assert_eq!(told["profile"]["age"], age_now);
        assert!(told["age_ms"].is_u64());
        if policy == "write-behind" {
            eventually(Duration::from_secs(5), "it was flushed", || {
                metric(&hitrate, "hitrate_write_behind_pending") == 0
            });
        }
        assert_eq!(age(&hitrate, "&policy=none"), u64::from(age_now), "{policy}");
        assert_eq!(hitrate.get(&format!("/product/1?policy={policy}")).status, 200);
        let page = hitrate.get(&format!("/profiles?id=123&policy={policy}")).body;
        assert!(page.contains(&format!("<option value=\"{policy}\" selected>")), "{policy}");
    }
}

#[test]
fn an_unknown_policy_is_refused_wherever_it_is_named() {
    let hitrate = Hitrate::start();
    for path in ["/profiles?id=123&policy=x", "/profiles?policy=Default", "/product/1?policy=lease"]
    {
        let answer = hitrate.get_with(path, &[JSON]);
        assert_eq!(answer.status, 422, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains("write-behind"), "{path}");
    }
    let form = "name=A&email=a%40example.com&age=1";
    assert_eq!(hitrate.post("/profiles/123", &format!("{form}&policy=x")).status, 422);
    assert_eq!(hitrate.post("/profiles/123?policy=x", form).status, 422);
    let saved = hitrate.post("/profiles/123?policy=write-through", form);
    assert_eq!(saved.header("location"), "/profiles?id=123&policy=write-through");
}

#[test]
fn the_setting_is_the_default_of_all_three() {
    let hitrate = setup().set("HITRATE_POLICY", "none").start();
    for _ in 0..2 {
        let told = hitrate.json("/profiles?id=123");
        assert_eq!((&told["source"], &told["policy"]), (&"database".into(), &"none".into()));
        assert_eq!(hitrate.get("/product/1").header("cache-status"), "hitrate; fwd=bypass");
    }
    let form = "name=A&email=a%40example.com&age=1";
    assert_eq!(hitrate.post_with("/profiles/123", form, &[JSON]).json()["policy"], "none");
}

#[test]
fn a_near_cache_copy_without_redis_says_that_it_may_be_stale() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let look_up = || hitrate.json("/profiles?id=123&policy=near-cache&delay_ms=0");
    let soon = Duration::from_secs(4);
    eventually(soon, "the copy is in memory", || look_up()["source"] == "memory");
    redis.kill();
    eventually(soon, "the copy is served without Redis", || {
        let answer = look_up();
        let message = answer["message"].as_str().unwrap();
        answer["source"] == "stale" && message.contains("within its TTL. Redis is unavailable")
    });
}

#[test]
fn near_answers_from_memory_and_notices_an_edit() {
    let hitrate = Hitrate::start();
    let source = || hitrate.json("/profiles?id=123&policy=near-cache")["source"].clone();
    eventually(Duration::from_secs(3), "it is in memory", || source() == "memory");
    let told = hitrate.get_with("/profiles?id=123&policy=near-cache", &[JSON]);
    assert!(told.header("cache-status").ends_with("; detail=memory"), "{told:?}");
    edit(&hitrate, 77, "near-cache");
    assert_eq!(age(&hitrate, "&policy=near-cache"), 77);
    eventually(Duration::from_secs(3), "again", || source() == "memory");
    assert!(hitrate.get("/profiles?id=123&policy=near-cache").body.contains("badge is-memory"));
}

#[test]
fn an_expired_copy_is_served_stale_while_the_database_is_slow() {
    let hitrate = setup().set("HITRATE_PROFILE_TTL", "300ms").start();
    hitrate.get("/profiles?id=123");
    let look = || hitrate.get_with("/profiles?id=123&delay_ms=1500", &[JSON]);
    eventually(Duration::from_secs(1), "the copy has expired", || {
        look().json()["source"] != "cache"
    });
    // In the millisecond of its expiry, the age past the TTL is still 0.
    let answer = look();
    assert_eq!(answer.json()["source"], "stale");
    assert!(answer.took < Duration::from_millis(1_500), "it did not wait for the database");
    assert_eq!(answer.header("cache-status"), "hitrate; hit; ttl=-1; detail=stale");
    assert!(hitrate.get("/profiles?id=123&delay_ms=1500").body.contains("badge is-stale"));
    assert_eq!(hitrate.json("/profiles?id=123&policy=cache-aside")["source"], "database");
}

#[test]
fn concurrent_misses_are_one_load_in_one_process_and_in_two() {
    let two = Two::new();
    let processes = [Arc::new(two.start()), Arc::new(two.start())];
    let visitors: Vec<_> = (0..40)
        .map(|n| {
            let hitrate = Arc::clone(&processes[n % 2]);
            thread::spawn(move || hitrate.get("/profiles?id=123&delay_ms=400").status)
        })
        .collect();
    assert!(visitors.into_iter().all(|visitor| visitor.join().unwrap() == 200));
    assert_eq!(loads(&processes[0]) + loads(&processes[1]), 1);
}

#[test]
fn a_process_that_is_killed_while_it_loads_delays_the_others_by_its_lease() {
    let two = Two::new();
    let (dies, lives) = (two.start(), two.start());
    let mut stream = dies.connect();
    let request =
        format!("GET /profiles?id=123&delay_ms=5000 HTTP/1.1\r\nHost: {}\r\n\r\n", dies.address);
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    eventually(Duration::from_secs(2), "it has the lease", || {
        two.redis.command(&["EXISTS", "hitrate:lease:{hitrate:profile:123}"]) == "1"
    });
    dies.end("KILL");
    let answer = lives.get_with("/profiles?id=123", &[JSON]);
    assert_eq!(answer.json()["source"], "database");
    // The lease lasts a second.
    assert!(answer.took < Duration::from_secs(1) * BUSY, "{:?}", answer.took);
}

#[test]
fn no_acknowledged_write_is_lost_when_hitrate_is_killed() {
    let two = Two::new();
    for round in 0..3 {
        let hitrate = two.start();
        for n in 0..20 {
            edit(&hitrate, round * 20 + n, "write-behind");
        }
        hitrate.end("KILL");
    }
    let hitrate = two.start();
    assert_eq!(age(&hitrate, ""), 59, "Redis has it");
    eventually(Duration::from_secs(8), "what the dead had taken is taken over", || {
        age(&hitrate, "&policy=none") == 59
    });
    eventually(Duration::from_secs(3), "and taken off the queue", || {
        metric(&hitrate, "hitrate_write_behind_pending") == 0
    });
}

#[test]
fn a_write_that_waits_is_flushed_before_hitrate_ends() {
    let two = Two::new();
    let database = format!("sqlite://{}/shared.db", two.dir.path().display());
    let hitrate = setup()
        .redis(&two.redis)
        .set("DATABASE_URL", database)
        .set("HITRATE_FLUSH_INTERVAL", "60s")
        .start();
    edit(&hitrate, 88, "write-behind");
    assert_ne!(age(&hitrate, "&policy=none"), 88, "not yet");
    assert!(hitrate.end("TERM").success());
    assert_eq!(age(&two.start(), "&policy=none"), 88);
}

#[test]
fn more_loads_than_the_database_can_take_are_turned_away_at_once() {
    let hitrate = Arc::new(Hitrate::start());
    let visitors: Vec<_> = (0..400)
        .map(|n| {
            let hitrate = Arc::clone(&hitrate);
            thread::spawn(move || hitrate.get(&format!("/profiles?id=nobody-{n}&delay_ms=1500")))
        })
        .collect();
    let answers: Vec<_> = visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect();
    let shed: Vec<_> = answers.iter().filter(|answer| answer.body.contains("overloaded")).collect();
    assert!(shed.len() >= 40, "{} of 400", shed.len());
    assert!(shed.iter().all(|it| (it.status, it.header("retry-after")) == (503, "1")));
    assert_eq!(metric(&hitrate, "hitrate_origin_rejected_total"), shed.len() as u64);
}

#[test]
fn the_breaker_is_told_and_closes_again() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    assert_eq!(metric(&hitrate, "hitrate_redis_breaker_state"), 0);
    redis.kill();
    hitrate.get("/");
    eventually(Duration::from_secs(2), "it is open", || {
        metric(&hitrate, "hitrate_redis_breaker_state") > 0
    });
    eventually(Duration::from_secs(3), "the panel tells it", || {
        hitrate.json("/stats")["redis"]["breaker"] != "closed"
    });
    assert!(hitrate.get("/stats").body.contains("Circuit breaker of Redis"));
    redis.restart();
    eventually(Duration::from_secs(3), "it is closed", || {
        metric(&hitrate, "hitrate_redis_breaker_state") == 0
    });
}

/// While the breaker is open a request pays nothing for Redis: a hundred
/// lookups with a frozen Redis would take 25 s at a deadline each.
#[test]
fn while_the_breaker_is_open_redis_costs_nothing() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    redis.freeze();
    for _ in 0..4 {
        hitrate.get("/");
    }
    let answers: Vec<_> = (0..100).map(|_| hitrate.get("/product/7")).collect();
    redis.thaw();
    assert!(answers.iter().all(|answer| answer.status == 200));
    let mut took: Vec<_> = answers.iter().map(|answer| answer.took).collect();
    took.sort();
    assert!(took[50] < Duration::from_millis(100), "half of a hundred: {took:?}");
}
