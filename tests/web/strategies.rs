use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Hitrate, TestRedis, eventually, setup};

const JSON: (&str, &str) = ("accept", "application/json");

fn act(hitrate: &Hitrate, fields: &str) -> Answer {
    hitrate.post_with("/strategies", &format!("delay_ms=0&{fields}"), &[JSON])
}

/// The result of an action, with the snapshot after it.
fn last(hitrate: &Hitrate, fields: &str) -> Value {
    let told = act(hitrate, fields);
    assert_eq!(told.status, 200, "{told:?}");
    told.json()["acts"].as_array().unwrap().last().unwrap().clone()
}

fn each<'a>(acts: &'a Value, name: &str) -> Vec<&'a Value> {
    acts.as_array().unwrap().iter().map(|act| &act[name]).collect()
}

/// A slow flusher, so that the database lag is observable.
fn slow_to_flush() -> Hitrate {
    setup().set("HITRATE_FLUSH_INTERVAL", "1500ms").start()
}

#[test]
fn each_policy_reads_and_writes_as_described() {
    for (policy, effect, then) in [
        ("none", "nothing", "database"),
        ("cache-aside", "invalidated", "database"),
        ("read-through", "invalidated", "database"),
        ("near-cache", "invalidated", "database"),
        ("write-through", "stored", "cache"),
        ("write-around", "invalidated", "database"),
        ("refresh-ahead", "invalidated", "database"),
    ] {
        let hitrate = Hitrate::start();
        let does = |act: &str| last(&hitrate, &format!("act={act}&policy={policy}"));
        assert_eq!(does("read")["source"], "database", "{policy}");
        let written = does("write");
        assert_eq!((&written["effect"], &written["version"]), (&json!(effect), &json!(2)));
        assert_eq!(written["database"]["profile"]["age"], 23, "{policy}");
        let read = does("read");
        assert_eq!((&read["source"], &read["version"]), (&json!(then), &json!(2)), "{policy}");
        let held = if policy == "none" { ("tombstone", None) } else { ("copy", Some("same")) };
        let redis = (&read["redis"]["contents"], &read["redis"]["compared"]);
        assert_eq!(redis, (&json!(held.0), &json!(held.1)), "{policy}");
    }
}

#[test]
fn with_write_behind_the_database_lags_until_the_flush() {
    let hitrate = slow_to_flush();
    last(&hitrate, "act=read&policy=write-behind");
    let written = last(&hitrate, "act=write&policy=write-behind");
    assert_eq!((&written["effect"], &written["version"]), (&json!("queued"), &json!(2)));
    assert_eq!(written["database"]["version"], 1);
    let redis = &written["redis"];
    assert_eq!((&redis["contents"], &redis["compared"]), (&json!("pending"), &json!("newer")));
    assert_eq!(redis["profile"]["age"], 23);
    let page = hitrate.get("/strategies?policy=write-behind").body;
    assert!(page.contains("behind Redis") && page.contains("newer than the row"), "{page}");

    eventually(Duration::from_secs(5), "the flush", || {
        hitrate.json("/strategies?policy=write-behind")["now"]["redis"]["compared"] == "same"
    });
    assert_eq!(hitrate.json("/strategies")["now"]["database"]["version"], 2);
}

#[test]
fn the_third_read_with_a_near_cache_sends_no_query() {
    let hitrate = Hitrate::start();
    let sources = [(); 3].map(|()| last(&hitrate, "act=read&policy=near-cache")["source"].clone());
    assert_eq!(sources, ["database", "cache", "memory"]);
    let now = &hitrate.json("/strategies")["now"];
    assert_eq!(
        (&now["near"]["contents"], &now["near"]["compared"]),
        (&json!("copy"), &json!("same"))
    );
    assert!(now["near"]["ttl_ms"].as_u64().unwrap() <= 30_000, "{now}");
    let written = last(&hitrate, "act=write&policy=near-cache");
    assert_eq!(written["near"]["contents"], "nothing");
}

#[test]
fn every_run_demonstrates_its_strategy() {
    let hitrate = slow_to_flush();
    let strategies = hitrate.json("/strategies")["strategies"].clone();
    assert_eq!(strategies.as_array().unwrap().len(), 7);
    // A profile for each policy, so that the runs don't affect each other.
    for (id, strategy) in (501..).zip(strategies.as_array().unwrap()) {
        let policy = strategy["policy"].as_str().unwrap();
        let told = act(&hitrate, &format!("act=run&policy={policy}&id={id}")).json();
        let sources = each(&told["acts"], "source");
        let expected = match policy {
            "none" => json!(["database", "database", null, "database"]),
            "cache-aside" | "read-through" => json!([null, "database", "cache", null, "database"]),
            "write-through" => json!([null, null, "cache", null, "cache"]),
            "write-around" => json!(["database", null, "database", "cache"]),
            "write-behind" => json!(["database", null, null, "cache", null, "cache"]),
            _ => json!([null, "database", null, "cache", null, "cache"]),
        };
        assert_eq!(json!(sources), expected, "{policy}");
        for act in told["acts"].as_array().unwrap() {
            let is_behind = policy == "write-behind" && act["redis"]["contents"] == "pending";
            let compared = &act["redis"]["compared"];
            let expected = if is_behind { "newer" } else { "same" };
            assert!(compared.is_null() || compared == expected, "{policy}: {act}");
        }
    }
}

#[test]
fn concurrent_readers_share_one_load_unless_unprotected() {
    let hitrate = Hitrate::start();
    for (policy, queries) in [("cache-aside", 3), ("read-through", 1)] {
        let told = hitrate.post_with("/strategies", &format!("act=run&policy={policy}"), &[JSON]);
        let reads = &told.json()["acts"][1];
        let times = if queries == 1 { "once." } else { "3 times." };
        assert!(reads["message"].as_str().unwrap().ends_with(times), "{reads}");
    }
}

#[test]
fn a_refresh_happens_before_expiry() {
    let hitrate = Hitrate::start();
    let told = hitrate.post_with("/strategies", "act=run&policy=refresh-ahead", &[JSON]).json();
    let ages = each(&told["acts"], "redis");
    let last = ages.last().unwrap()["age_ms"].as_u64().unwrap();
    assert!(last < 1_000, "a copy made near the end of the first one's two seconds: {told}");
}

#[test]
fn the_page_shows_steps_and_timeline() {
    let hitrate = Hitrate::start();
    let done = hitrate.post("/strategies", "act=read&policy=read-through&id=123&delay_ms=50");
    assert_eq!(done.status, 303);
    let address = done.header("location");
    assert!(address.starts_with("/strategies?policy=read-through&id=123&delay_ms=50&run="));
    let page = hitrate.get(address).body;
    for part in [
        "Timeline: read profile 123",
        "hitrate to database",
        "simulated",
        "same as the row",
        "version 1, from the database",
        "url(#waiting)",
    ] {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    let token = address.split("run=").nth(1).unwrap();
    let again = format!("act=write&policy=read-through&id=123&delay_ms=50&run={token}");
    let page = hitrate.get(hitrate.post("/strategies", &again).header("location")).body;
    assert!(page.contains("timeline of step 1") && page.contains("write age 23 to profile 123"));
    let first = hitrate.get(&format!("{address}&step=1")).body;
    assert!(first.contains("Timeline: read profile 123") && first.contains("timeline of step 2"));
}

#[test]
fn json_contains_the_timeline() {
    let hitrate = Hitrate::start();
    let answer =
        hitrate.post_with("/strategies", "act=read&policy=read-through&delay_ms=50", &[JSON]);
    assert_eq!(answer.header("cache-status"), "hitrate; fwd=uri-miss; stored");
    let told = answer.json();
    assert_eq!((&told["policy"], &told["id"]), (&json!("read-through"), &json!("123")));
    let timeline = &told["timeline"];
    assert_eq!(timeline["request"], "read profile 123");
    assert!(timeline["simulated_us"].as_u64().unwrap() >= 50_000, "{timeline}");
    let mut targets = each(&timeline["trace"], "target");
    // A lease may be renewed on a busy machine.
    targets.dedup();
    assert_eq!(json!(targets), json!(["redis", "database", "redis"]));
    let sent = hitrate.send(
        "POST",
        "/strategies",
        &[("content-type", "application/json"), JSON],
        &json!({ "act": "invalidate", "id": "456", "run": told["run"] }).to_string(),
    );
    let told = sent.json();
    assert_eq!((&told["id"], &told["acts"][0]["act"]), (&json!("456"), &json!("invalidate")));
    assert_eq!(told["acts"].as_array().unwrap().len(), 1, "another profile is another visit");
}

#[test]
fn a_session_is_bounded_and_an_unknown_one_is_empty() {
    let hitrate = Hitrate::start();
    let mut visit = String::new();
    for _ in 0..14 {
        let told = act(&hitrate, &format!("act=read&run={visit}")).json();
        visit = told["run"].as_str().unwrap().to_owned();
    }
    let told = hitrate.json(&format!("/strategies?run={visit}"));
    assert_eq!(json!(each(&told["acts"], "number")), json!((3..=14).collect::<Vec<_>>()));
    for unknown in ["0".repeat(32), "%3Cscript%3E".to_owned(), "x".repeat(300)] {
        let page = hitrate.get_with(&format!("/strategies?run={unknown}"), &[JSON]);
        let told = page.json();
        assert_eq!(
            (page.status, &told["run"], &told["timeline"]),
            (200, &Value::Null, &Value::Null)
        );
        assert_eq!(told["acts"], json!([]));
    }
}

#[test]
fn invalid_input_is_rejected() {
    let hitrate = Hitrate::start();
    for (fields, status) in [
        ("act=read&policy=fast", 422),
        ("act=dance", 422),
        ("", 422),
        ("act=crowd", 422),
        ("act=read&delay_ms=5001", 422),
        ("act=read&id=*", 400),
        ("act=read&id=", 400),
        ("act=read&more=1", 400),
        ("act=read&act=write", 400),
        ("act=read&id=nobody", 404),
        ("act=write&id=nobody", 404),
        ("act=run&id=nobody", 404),
    ] {
        let answer = hitrate.post_with("/strategies", fields, &[JSON]);
        assert_eq!(answer.status, status, "{fields}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().ends_with('.'), "{fields}");
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut hitrate.own_redis()).unwrap();
    assert_eq!(keys, Vec::<String>::new());
    let page = hitrate.get("/strategies?id=nobody");
    assert_eq!(page.status, 404);
    assert!(page.body.contains("No profile has the id nobody.") && page.body.contains("id=456"));
    for (query, status) in [("policy=fast", 422), ("step=0", 422), ("id=a:b", 400), ("x=1", 400)] {
        assert_eq!(hitrate.get(&format!("/strategies?{query}")).status, status, "{query}");
    }
}

#[test]
fn a_snapshot_costs_no_counted_query_and_no_lookup() {
    let hitrate = Hitrate::start();
    let counted = || {
        let stats = hitrate.json("/stats")["cache"].clone();
        ["database_queries", "hits", "misses"].map(|name| stats[name].as_u64().unwrap())
    };
    let before = counted();
    for _ in 0..5 {
        hitrate.get("/strategies");
    }
    // The panels are sampled each second, which must not cost a query either.
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(counted(), before);
}

#[test]
fn without_redis_steps_work_and_report_it() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    last(&hitrate, "act=read&policy=read-through");
    let away = hitrate.json("/strategies")["persistence"].clone();
    assert_eq!(away["append_only"], false, "{away}");
    assert!(away["message"].as_str().unwrap().contains("no append-only file"));
    redis.kill();
    let read = last(&hitrate, "act=read&policy=read-through");
    assert_eq!(read["redis"]["contents"], "unknown");
    assert!(read["redis"]["error"].as_str().unwrap().contains("Redis"), "{read}");
    let written = last(&hitrate, "act=write&policy=write-behind");
    assert_eq!((&written["effect"], &written["version"]), (&json!("deferred"), &json!(2)));
    let page = hitrate.get("/strategies");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Redis can&#39;t be reached"), "{}", page.body);
    let run = hitrate.get(hitrate.post("/strategies", "act=run&delay_ms=0").header("location"));
    assert!(run.body.contains("Redis did not answer during this run"), "{}", run.body);
    redis.restart();
    eventually(Duration::from_secs(10), "Redis is back", || {
        last(&hitrate, "act=read&policy=read-through")["redis"]["compared"] == "same"
    });
}

#[test]
fn redis_may_crash_during_a_run() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    let told = std::thread::scope(|scope| {
        let run = scope.spawn(|| act(&hitrate, "act=run&policy=refresh-ahead"));
        eventually(Duration::from_secs(2), "it has begun", || redis.command(&["DBSIZE"]) != "0");
        redis.kill();
        run.join().unwrap()
    });
    assert_eq!(told.status, 200, "{told:?}");
    assert!(told.took < Duration::from_secs(6), "{:?}", told.took);
    let held = each(&told.json()["acts"], "redis").last().unwrap()["contents"].clone();
    assert_eq!(held, "unknown");
}

#[test]
fn a_corrupt_copy_is_reported() {
    let hitrate = Hitrate::start();
    let mut redis = hitrate.own_redis();
    let set = |redis: &mut redis::Connection, value: &str| {
        redis::cmd("SET").arg("hitrate:profile:123").arg(value).exec(redis).unwrap();
    };
    let contents = || hitrate.json("/strategies")["now"]["redis"]["contents"].clone();
    set(&mut redis, "nonsense");
    assert_eq!(contents(), "corrupt");
    set(&mut redis, r#"{"version":9,"gone":true}"#);
    assert_eq!(contents(), "tombstone");
    redis::cmd("UNLINK").arg("hitrate:profile:123").exec(&mut redis).unwrap();
    assert_eq!(contents(), "nothing");
}

#[test]
fn stored_markup_is_shown_as_text() {
    let hitrate = Hitrate::start();
    let saved = hitrate.post("/profiles/123", "name=%3Cb%3EAnn%3C/b%3E&email=a%40b&age=150");
    assert_eq!(saved.status, 303);
    let page = hitrate.get(hitrate.post("/strategies", "act=read&delay_ms=0").header("location"));
    assert!(page.body.contains("&#60;b&#62;Ann") && !page.body.contains("<b>Ann"));
    let written = last(&hitrate, "act=write");
    assert_eq!(written["database"]["profile"]["age"], 0, "after the highest age comes the lowest");
}
