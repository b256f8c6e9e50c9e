//! Stampedes on a real Redis and a real database, with every load counted.

use std::{sync::Arc, thread, time::Duration};

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::{
    faults::assert_no_panic,
    harness::{Answer, Hitrate, TestRedis, eventually, setup},
};

const JSON: (&str, &str) = ("accept", "application/json");
/// The soft timeout of stale-while-revalidate, in microseconds.
const SOFT_US: u64 = 100_000;
/// Duration of a load in tests in which nobody may wait for it: long enough not to be
/// confused with a busy machine.
const LOAD_US: u64 = 600_000;

fn post(hitrate: &Hitrate, form: &str) -> Answer {
    hitrate.post_with("/stampede", form, &[JSON])
}

/// The runs of a successful stampede.
fn runs(hitrate: &Hitrate, form: &str) -> Vec<Value> {
    let answer = post(hitrate, form);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["runs"].as_array().unwrap().clone()
}

/// The only run of a stampede.
fn one(hitrate: &Hitrate, form: &str) -> Value {
    let mut runs = runs(hitrate, form);
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

fn number(run: &Value, name: &str) -> u64 {
    run[name].as_u64().unwrap_or_else(|| panic!("{name} of {run}"))
}

fn keys(hitrate: &Hitrate) -> Vec<String> {
    redis::cmd("KEYS").arg("*trial:*").query(&mut hitrate.own_redis()).unwrap()
}

#[test]
fn the_default_policies_run_one_after_another() {
    let hitrate = Hitrate::start();
    let runs = runs(&hitrate, "visitors=47&delay_ms=600");
    let loads: Vec<_> = runs
        .iter()
        .map(|run| (run["policy"].as_str().unwrap(), number(run, "origin_loads")))
        .collect();
    // Early refresh is probabilistic: of 47 visitors, one certainly reloads.
    assert_eq!(
        loads,
        [
            ("cache-aside", 47),
            ("single-flight", 1),
            ("lease", 1),
            ("early-refresh", 1),
            ("stale-while-revalidate", 1)
        ]
    );
    for run in &runs {
        assert_eq!((number(run, "visitors"), number(run, "rejected")), (47, 0), "{run}");
        let [p50, p99, max] = ["p50_us", "p99_us", "max_us"].map(|name| number(run, name));
        assert!(p50 <= p99 && p99 <= max, "{run}");
        assert_eq!(
            (number(&run["follow_up"], "requests"), number(&run["follow_up"], "clients")),
            (99, 10),
            "{run}"
        );
        assert_eq!(number(&run["follow_up"], "origin_loads"), 0, "the key is warm: {run}");
    }
    let [plain, flight, _, early, grace] = &runs[..] else { panic!("five runs") };
    // No response from the database can be faster.
    assert!(number(plain, "p50_us") >= LOAD_US && number(flight, "p50_us") >= LOAD_US);
    assert_eq!((&early["start"], number(early, "from_cache")), (&"expiring".into(), 47));
    assert!(number(early, "p50_us") < LOAD_US, "nobody waits for the reload: {early}");
    assert_eq!((&grace["start"], number(grace, "stale")), (&"expired".into(), 47));
    let waited = number(grace, "p50_us");
    assert!((SOFT_US..LOAD_US).contains(&waited), "the soft timeout, and not the load: {grace}");
    assert_eq!(keys(&hitrate), Vec::<String>::new(), "every key is removed");
}

#[test]
fn policies_with_every_protection_load_once() {
    let hitrate = Hitrate::start();
    let form = "policy=read-through&policy=refresh-ahead&policy=near-cache&policy=none&visitors=20";
    let runs = runs(&hitrate, &format!("{form}&delay_ms=100"));
    let loads: Vec<_> = runs.iter().map(|run| number(run, "origin_loads")).collect();
    assert_eq!(loads, [1, 1, 1, 20]);
    let next: Vec<_> = runs.iter().map(|run| number(&run["follow_up"], "origin_loads")).collect();
    assert_eq!(next, [0, 0, 0, 99], "without a cache nothing is warm");
}

#[test]
fn a_thousand_visitors_share_one_load() {
    let hitrate = Hitrate::start();
    let run = one(&hitrate, "policy=single-flight&visitors=1000&delay_ms=1000");
    assert_eq!((number(&run, "origin_loads"), number(&run, "rejected")), (1, 0), "{run}");
    assert_eq!(number(&run, "from_database"), 1000);
}

#[test]
fn most_of_a_thousand_unprotected_visitors_are_rejected_immediately() {
    let hitrate = Hitrate::start();
    // Long enough for all visitors to arrive before the first load completes. 64 loads
    // run at once and 256 wait; 1000 − 320 find the queue full.
    let run = one(&hitrate, "policy=cache-aside&visitors=1000&delay_ms=3000");
    assert_eq!((number(&run, "queued"), number(&run, "rejected")), (256, 680), "{run}");
    assert!(number(&run, "rejected_max_us") < 3_000_000, "they wait for no load: {run}");
    // Waiters of the second round exceed the load timeout.
    assert_eq!(number(&run, "from_database") + number(&run, "failed"), 320, "{run}");
}

#[test]
fn a_single_visitor_is_measured() {
    let hitrate = Hitrate::start();
    let run = one(&hitrate, "policy=cache-aside&visitors=1&delay_ms=0");
    assert_eq!(number(&run, "origin_loads"), 1);
}

#[test]
fn verdicts_follow_from_the_numbers() {
    let hitrate = Hitrate::start();
    let told =
        post(&hitrate, "policy=cache-aside&policy=single-flight&visitors=7&delay_ms=50").json();
    let claims = told["claims"].as_array().unwrap();
    let judged = |n: usize| (&claims[n]["verdict"], &claims[n]["measured"]);
    let about: Vec<_> = claims.iter().map(|claim| claim["subject"].as_str().unwrap()).collect();
    assert_eq!(about, ["cache-aside", "single-flight", "cache-aside", "single-flight"]);
    assert_eq!(judged(0), (&"false".into(), &"7 times".into()));
    assert_eq!(judged(1), (&"true".into(), &"once".into()));
    for (run, quick) in told["runs"].as_array().unwrap().iter().zip(&claims[2..]) {
        let next = &run["follow_up"];
        let expected = match (number(next, "below_1ms"), number(next, "above_5ms")) {
            (_, 1..) => "false",
            (1.., _) => "better",
            _ => "true",
        };
        assert_eq!(quick["verdict"], expected, "{next}");
        let parts = ["below_1ms", "from_1_to_5ms", "above_5ms"].map(|name| number(next, name));
        assert_eq!(parts.iter().sum::<u64>(), 99);
    }
}

#[test]
fn a_form_redirects_to_its_result() {
    let hitrate = Hitrate::start();
    let posted =
        hitrate.post("/stampede", "policy=cache-aside&policy=near-cache&visitors=5&delay_ms=20");
    assert_eq!(posted.status, 303);
    let page = hitrate.get(posted.header("location")).body;
    assert!(page.contains("5 visitors at once") && page.contains("5 times"), "{page}");
    assert!(page.contains(r#"value="near-cache" checked"#), "the form is as it was sent");
    assert!(page.contains(r#"<details class="offers-more">"#), "folded after a run");
    assert!(!page.contains(r#"value="lease" checked"#));
    let told = hitrate.json(posted.header("location"));
    assert_eq!((&told["visitors"], &told["delay_ms"]), (&5.into(), &20.into()));
}

#[test]
fn an_expired_result_is_reported() {
    let hitrate = Hitrate::start();
    for run in ["0000000000000000", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%00"] {
        let page = hitrate.get(&format!("/stampede?run={run}"));
        assert_eq!(page.status, 200, "{run}");
        assert!(page.body.contains("This result is no longer available"));
        assert!(page.body.contains(">Run<") && !page.body.contains("alert(1)"));
    }
    let bare = hitrate.json("/stampede");
    assert_eq!((&bare["run"], &bare["runs"]), (&Value::Null, &Value::Array(vec![])));
}

#[test]
fn invalid_plans_are_rejected() {
    let hitrate = Hitrate::start();
    let thirteen: String =
        ["policy=cache-aside"].into_iter().cycle().take(13).collect::<Vec<_>>().join("&");
    for (form, status) in [
        ("visitors=0", 422),
        ("visitors=1001", 422),
        ("visitors=-1", 422),
        ("visitors=x", 422),
        ("visitors=1e2", 422),
        ("visitors=99999999999999999999", 422),
        ("delay_ms=-1", 422),
        ("delay_ms=5001", 422),
        ("delay_ms=1.5", 422),
        ("policy=best", 422),
        ("policy=Plain", 422),
        ("policy=%3Cscript%3E", 422),
        ("policy=cache-aside&policy=cache-aside", 400),
        ("visitors=1&visitors=2", 400),
        ("policies=cache-aside", 400),
        (thirteen.as_str(), 400),
    ] {
        let answer = post(&hitrate, form);
        assert_eq!(answer.status, status, "{form}: {answer:?}");
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(told.ends_with('.') && !told.contains("<script"), "{form}: {told}");
    }
    let told = post(&hitrate, "policy=best").json()["error"].as_str().unwrap().to_owned();
    assert!(
        told.contains(
            "cache-aside, single-flight, lease, early-refresh, stale-while-revalidate, none"
        ),
        "{told}"
    );
    assert_eq!(keys(&hitrate), Vec::<String>::new());
}

#[test]
fn json_names_policies_by_a_string_or_a_list() {
    let hitrate = Hitrate::start();
    let send = |body: &str| {
        hitrate.send("POST", "/stampede", &[JSON, ("content-type", "application/json")], body)
    };
    for (body, policies) in [
        (r#"{"policy": "lease", "visitors": 3, "delay_ms": 0}"#, vec!["lease"]),
        (
            r#"{"policy": ["cache-aside", "stale-while-revalidate"], "visitors": "3", "delay_ms": 0}"#,
            vec!["cache-aside", "stale-while-revalidate"],
        ),
    ] {
        let told = send(body).json();
        let ran: Vec<_> =
            told["runs"].as_array().unwrap().iter().map(|run| run["policy"].clone()).collect();
        assert_eq!(ran, policies, "{told}");
    }
    for bad in
        [r#"{"policy": [["cache-aside"]]}"#, r#"{"visitors": [1]}"#, r#"{"policy": {"a": 1}}"#]
    {
        assert_eq!(send(bad).status, 422, "{bad}");
    }
}

#[test]
fn one_stampede_runs_at_a_time_and_pages_keep_working() {
    let hitrate = Arc::new(Hitrate::start());
    let first = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || {
            eventually(Duration::from_secs(10), "it is the first one's turn", || {
                post(&hitrate, "policy=none&visitors=10&delay_ms=1000").status == 200
            });
        })
    };
    let second = || post(&hitrate, "policy=cache-aside&visitors=1&delay_ms=0");
    eventually(Duration::from_secs(5), "a second one is refused while one runs", || {
        second().status == 409
    });
    let refused = second();
    assert_eq!((refused.status, refused.header("retry-after")), (409, "3"));
    assert!(refused.json()["error"].as_str().unwrap().contains("Another measurement is running"));
    assert_eq!(hitrate.get("/profiles?id=123").status, 200);
    first.join().unwrap();
    eventually(Duration::from_secs(10), "then it is the next one's turn", || {
        second().status == 200
    });
    assert_no_panic(&hitrate);
}

#[test]
fn a_stampede_completes_after_a_disconnect_and_is_not_in_the_hit_ratio() {
    use std::io::Write;
    let hitrate = Hitrate::start();
    let body = "policy=cache-aside&visitors=30&delay_ms=500";
    let mut stream = hitrate.connect();
    write!(
        stream,
        "POST /stampede HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        hitrate.address,
        body.len()
    )
    .unwrap();
    let again = || post(&hitrate, "policy=cache-aside&visitors=1&delay_ms=0").status;
    eventually(Duration::from_secs(5), "it has begun", || again() == 409);
    drop(stream);
    eventually(Duration::from_secs(10), "it has ended", || again() == 200);
    eventually(Duration::from_secs(3), "its queries are counted", || {
        hitrate.json("/stats")["cache"]["database_queries"].as_u64().unwrap() >= 31
    });
    let cache = hitrate.json("/stats")["cache"].clone();
    assert_eq!((&cache["hits"], &cache["misses"]), (&0.into(), &0.into()));
    assert_eq!(keys(&hitrate), Vec::<String>::new());
}

#[test]
fn without_redis_the_run_completes_and_reports_it() {
    let hitrate = setup().set("REDIS_URL", "redis://127.0.0.1:1").start();
    let told = post(&hitrate, "visitors=10&delay_ms=50").json();
    for run in told["runs"].as_array().unwrap() {
        assert_eq!(run["error"], "Redis can't be reached", "{run}");
        assert_eq!(run["follow_up"]["skipped"], true, "{run}");
        assert_eq!((number(run, "failed"), number(run, "from_database")), (0, 10), "{run}");
        assert_eq!(run["start"], "cold", "nothing can be prepared");
    }
    let page = hitrate.get(&format!("/stampede?run={}", told["run"].as_str().unwrap())).body;
    assert_eq!(page.matches("Redis can&#39;t be reached").count(), 1, "{page}");
    assert_no_panic(&hitrate);
}

#[test]
fn redis_crashes_during_a_run() {
    let mut redis = TestRedis::start().unwrap();
    let hitrate = Arc::new(setup().redis(&redis).start());
    let running = {
        let hitrate = Arc::clone(&hitrate);
        thread::spawn(move || post(&hitrate, "visitors=50&delay_ms=500"))
    };
    eventually(Duration::from_secs(2), "its first run has begun", || {
        !redis.command(&["KEYS", "*trial:*"]).is_empty()
    });
    redis.kill();
    let answer = running.join().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    let runs = told["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 5);
    assert!(runs.iter().any(|run| run["error"].is_string()), "{told}");
    let page = hitrate.get(&format!("/stampede?run={}", told["run"].as_str().unwrap())).body;
    assert!(page.contains("Redis can&#39;t be reached"), "{page}");
    assert_no_panic(&hitrate);
}

#[test]
fn without_the_database_nothing_is_measured() {
    let hitrate = Hitrate::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    runtime
        .block_on(sqlx::query("ALTER TABLE products RENAME TO hidden").execute(&mut other))
        .unwrap();
    let refused = post(&hitrate, "visitors=5&delay_ms=0");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{refused:?}");
    runtime
        .block_on(sqlx::query("ALTER TABLE hidden RENAME TO products").execute(&mut other))
        .unwrap();
    assert_eq!(post(&hitrate, "policy=cache-aside&visitors=5&delay_ms=0").status, 200);
    assert_no_panic(&hitrate);
}
