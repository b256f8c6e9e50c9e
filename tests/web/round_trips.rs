use std::{thread, time::Duration};

use serde_json::Value;

use crate::harness::{Hitrate, TestRedis, eventually, setup};

const PATH: &str = "/patterns/round-trips";
const JSON: (&str, &str) = ("accept", "application/json");

fn measure(hitrate: &Hitrate, form: &str) -> Value {
    let answer = hitrate.post_with(PATH, form, &[JSON]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn row<'a>(told: &'a Value, verb: &str, mode: &str) -> &'a Value {
    let mut rows = told["rows"].as_array().unwrap().iter();
    rows.find(|row| row["verb"] == verb && row["mode"] == mode).unwrap()
}

#[test]
fn every_command_is_measured_in_every_mode_and_all_keys_are_removed() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    let mut redis = hitrate.own_redis();
    let mut keys = || -> Vec<String> { redis::cmd("KEYS").arg("*").query(&mut redis).unwrap() };
    let before = keys();
    let told = measure(&hitrate, "count=150&round_trip=0");
    assert_eq!((&told["count"], &told["simulated_us"]), (&150.into(), &0.into()));
    assert_eq!(told["rows"].as_array().unwrap().len(), 8);
    for verb in ["SET", "GET"] {
        for mode in ["singly", "by-hundred", "one-pipeline", "at-once"] {
            let row = row(&told, verb, mode);
            assert_eq!((&row["commands"], &row["each"]["n"]), (&150.into(), &5.into()), "{row}");
            let each = &row["each"];
            let [min, median, max] =
                ["min_ns", "median_ns", "max_ns"].map(|name| each[name].as_u64().unwrap());
            assert!(0 < min && min <= median && median <= max, "{row}");
        }
        assert_eq!(row(&told, verb, "singly")["times"], 1.0);
    }
    let clients = told["clients"].as_array().unwrap();
    assert_eq!((&clients[0]["name"], &clients[1]["name"]), (&"blocking".into(), &"async".into()));
    for client in clients {
        assert!(client["miss"]["min_ns"].as_u64().unwrap() >= 20_000_000, "{client}");
    }
    assert_eq!(
        (&clients[1]["concurrent_misses"], &clients[0]["hits_meanwhile"]),
        (&1000.into(), &0.into())
    );
    assert_eq!(keys(), before, "its keys are gone");
}

#[test]
fn each_command_takes_a_simulated_round_trip() {
    let hitrate = Hitrate::start();
    let told = measure(&hitrate, "count=100&round_trip=10");
    assert_eq!(told["simulated_us"], 10_000);
    assert!(told["ping"]["min_ns"].as_u64().unwrap() >= 10_000_000, "{}", told["ping"]);
    let singly = row(&told, "SET", "singly");
    assert!(singly["each"]["min_ns"].as_u64().unwrap() >= 10_000_000, "{singly}");
    // Ten milliseconds per hundred commands, however slow the machine is.
    let piped = row(&told, "SET", "one-pipeline");
    assert!(piped["each"]["min_ns"].as_u64().unwrap() >= 100_000, "{piped}");
    assert!(piped["times"].as_f64().unwrap() > 2.0, "{piped}");
    let claims = told["claims"].as_array().unwrap();
    let claim = |subject: &str| claims.iter().find(|claim| claim["subject"] == subject).unwrap();
    for topic in ["SET", "GET", "Batch", "Setup", "A hit", "A miss", "1,000 misses at once"] {
        assert!(claim(topic)["n"].as_u64().unwrap() > 0, "{topic}");
    }
    for topic in ["Memory", "Memory versus disk"] {
        assert_eq!(claim(topic)["verdict"], "unknown");
        assert!(!claim(topic)["measured"].as_str().unwrap().is_empty(), "the reason is told");
    }
}

#[test]
fn the_page_shows_a_run_and_keeps_it() {
    let hitrate = Hitrate::start();
    assert!(hitrate.get(PATH).body.contains("Nothing has been measured yet"));
    let ran = hitrate.post(PATH, "count=20&round_trip=0");
    assert_eq!(ran.status, 303, "{ran:?}");
    let page = hitrate.get(ran.header("location"));
    assert_eq!(page.status, 200);
    for part in
        ["Time per command, for 20 commands", "pipelines of 100", "not measured", "25 times faster"]
    {
        assert!(page.body.contains(part), "{part}");
    }
    let gone = hitrate.get(&format!("{PATH}?run=none"));
    assert!(gone.status == 200 && gone.body.contains("no longer available"));
}

#[test]
fn one_runs_at_a_time() {
    let hitrate = Hitrate::start();
    let mut statuses = thread::scope(|scope| {
        // Each takes more than a second, so the second arrives during the first.
        let both = [0; 2].map(|_| scope.spawn(|| hitrate.post(PATH, "count=9").status));
        assert_eq!(hitrate.get("/profiles?id=123").status, 200, "pages go on");
        both.map(|one| one.join().unwrap())
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    assert_eq!(hitrate.post(PATH, "count=1&round_trip=0").status, 303);
}

#[test]
fn values_out_of_range_are_rejected() {
    let hitrate = Hitrate::start();
    for bad in ["count=0", "count=1001", "count=-1", "count=x", "round_trip=1", "round_trip=-1"] {
        assert_eq!(hitrate.post(PATH, bad).status, 422, "{bad}");
    }
    for bad in ["counts=1", "count=1&count=2"] {
        assert_eq!(hitrate.post(PATH, bad).status, 400, "{bad}");
    }
    let json = hitrate.send(
        "POST",
        PATH,
        &[JSON, ("content-type", "application/json")],
        r#"{"count": 5, "round_trip": 0.5}"#,
    );
    assert_eq!((json.status, &json.json()["simulated_us"]), (200, &500.into()));
}

#[test]
fn without_redis_it_reports_that_and_recovers() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    assert_eq!(hitrate.post(PATH, "count=5&round_trip=2").status, 303, "over TCP, too");
    redis.kill();
    let answer = hitrate.post(PATH, "count=5&round_trip=0");
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(hitrate.get(PATH).status, 200);
    redis.restart();
    eventually(Duration::from_secs(10), "it runs again", || {
        hitrate.post(PATH, "count=5&round_trip=0").status == 303
    });
}

#[test]
fn a_frozen_redis_ends_the_run() {
    let redis = TestRedis::start().unwrap();
    let hitrate = setup().redis(&redis).start();
    thread::scope(|scope| {
        let run = scope.spawn(|| hitrate.post(PATH, "count=1000&round_trip=2"));
        eventually(Duration::from_secs(10), "it has written something", || {
            redis.command(&["DBSIZE"]) != "0"
        });
        redis.freeze();
        let answer = run.join().unwrap();
        redis.thaw();
        assert_eq!(answer.status, 503);
        assert!(answer.took < Duration::from_secs(12), "waited for once: {:?}", answer.took);
    });
}
