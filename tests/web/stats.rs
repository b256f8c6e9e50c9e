use std::{
    io::{BufRead, BufReader, Write},
    time::Duration,
};

use crate::harness::{Hitrate, TestRedis, eventually, setup};

#[test]
fn the_panels_tell_hits_misses_and_queries() {
    let hitrate = Hitrate::start();
    let before = hitrate.json("/stats")["cache"]["database_queries"].as_u64().unwrap();
    for _ in 0..3 {
        hitrate.get("/profiles?id=123");
    }
    hitrate.get("/profiles?id=123&cache=off");
    hitrate.get("/product");
    let seen = || hitrate.json("/stats")["cache"].clone();
    eventually(Duration::from_secs(3), "a sample after the lookups", || {
        seen()["bypasses"] == 1 && seen()["misses"] == 2
    });
    let cache = seen();
    assert_eq!((&cache["hits"], &cache["queries_avoided"]), (&2.into(), &2.into()));
    assert_eq!(cache["hit_ratio"], 0.5);
    assert_eq!(
        cache["database_queries"].as_u64().unwrap() - before,
        3,
        "a miss, a bypass, a product"
    );
    assert_eq!(cache["prefixes"][0]["prefix"], "profile");
    assert_eq!(cache["prefixes"][1]["misses"], 1);
    let database = &cache["sources"][1];
    assert_eq!((&database["source"], &database["lookups"]), (&"database".into(), &3.into()));
    assert!(database["p50_us"].as_u64().unwrap() <= database["p99_us"].as_u64().unwrap());
}

#[test]
fn the_panels_show_what_redis_says_of_itself() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    let redis = || hitrate.json("/")["redis"].clone();
    eventually(Duration::from_secs(3), "the count, the profile and its tag", || {
        redis()["keys"] == 3
    });
    let redis = redis();
    assert_eq!(redis["state"], "up");
    let server = &redis["server"];
    assert_eq!(server["eviction_policy"], "volatile-lru");
    assert_eq!(server["append_only"], true);
    assert!(server["connected_clients"].as_u64().unwrap() >= 3, "one a worker, one for samples");
    assert!(server["keyspace_misses"].as_u64().unwrap() >= 2, "GET and PTTL each missed");
    for page in ["/", "/stats"] {
        let page = hitrate.get(page).body;
        for label in [
            "Hit ratio",
            "Memory usage",
            "Connected clients",
            "Commands processed",
            "Keyspace hits",
            "Keyspace misses",
            "Cache hit rate",
            "Eviction policy",
            "Uptime",
        ] {
            assert!(page.contains(label), "{label}");
        }
    }
    assert!(hitrate.get("/stats").body.contains("redis-cli -s /"));
}

#[test]
fn writes_that_the_database_refused_are_on_the_panel() {
    let hitrate = Hitrate::start();
    assert!(!hitrate.get("/stats").body.contains("Dead letters"));
    let mut aside = redis::cmd("XADD");
    aside.arg("hitrate:write-behind:dead-letters").arg("*").arg("key").arg("profile:123");
    aside.exec(&mut hitrate.own_redis()).unwrap();
    assert!(hitrate.get("/metrics").body.contains("hitrate_write_behind_dead_letters 1"));
    eventually(Duration::from_secs(3), "the next sample tells", || {
        hitrate
            .get("/stats")
            .body
            .contains("1, in the stream <code>write-behind:dead-letters</code>")
    });
}

/// A task in the background that keeps failing: panel, metric, and the log once.
#[test]
fn writes_that_do_not_get_to_the_database_are_on_the_panel() {
    let aof = ["--appendonly", "yes", "--appendfsync", "always"];
    let without = ["--rename-command", "XREADGROUP", ""];
    let mut redis = TestRedis::with_args(&[&aof[..], &without].concat()).unwrap();
    let hitrate = setup().redis(&redis).start();
    let failing = |value: &str| {
        let line = format!("hitrate_write_behind_failing {value}\n");
        hitrate.get("/metrics").body.contains(&line)
    };
    assert!(failing("0"));
    let form = "name=Ann&email=ann%40example.com&age=31&policy=write-behind";
    assert_eq!(hitrate.post("/profiles/123", form).status, 303);
    eventually(Duration::from_secs(5), "the metric says so", || failing("1"));
    eventually(Duration::from_secs(5), "the panel says so", || {
        let page = hitrate.get("/stats").body;
        page.contains("Write-behind is failing") && page.contains("XREADGROUP")
    });
    let cache = hitrate.json("/stats")["cache"].clone();
    assert!(cache["write_behind_failure"].is_string() && cache["write_behind_pending"] == 1);
    // It goes on failing meanwhile.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(hitrate.logged("Write-behind"), 1, "{}", hitrate.log());

    redis.restart_with_args(&aof);
    eventually(Duration::from_secs(10), "it arrives when Redis is mended", || {
        hitrate.json("/profiles?id=123&cache=off")["profile"]["age"] == 31
    });
    eventually(Duration::from_secs(5), "the metric is well again", || failing("0"));
    eventually(Duration::from_secs(5), "and so is the panel", || {
        hitrate.json("/stats")["cache"]["write_behind_failure"].is_null()
    });
}

#[test]
fn looking_at_the_panels_costs_redis_nothing() {
    let hitrate = Hitrate::start();
    let calls = || {
        let info: String =
            redis::cmd("INFO").arg("commandstats").query(&mut hitrate.own_redis()).unwrap();
        info.lines()
            .filter(|line| {
                !line.starts_with("cmdstat_info")
                    && !line.starts_with("cmdstat_scan")
                    && !line.starts_with("cmdstat_ping")
                    && !line.starts_with("cmdstat_client")
                    && !line.starts_with("cmdstat_xlen")
                    && !line.starts_with("cmdstat_hello")
                    && !line.starts_with("cmdstat_time")
            })
            .map(|line| line.split(',').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let before = calls();
    for _ in 0..20 {
        hitrate.get("/stats");
    }
    assert_eq!(calls(), before);
}

#[test]
fn the_live_panels_come_with_each_sample() {
    let hitrate = Hitrate::start();
    let mut stream = hitrate.connect();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET /stats/live HTTP/1.1\r\nHost: {}\r\n\r\n", hitrate.address).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let ratios = lines.filter(|line| line.contains("data:") && line.contains("Hit ratio"));
    assert_eq!(ratios.take(2).count(), 2, "two samples within the time limits");
}
