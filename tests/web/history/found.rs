//! What runs have found: each as the shortest sequence of steps that shows it.

use std::{sync::Arc, thread, time::Duration};

use sqlx::{Connection, SqliteConnection};

use crate::{
    faults::BACK,
    harness::{Hitrate, Redis, eventually, setup},
    proxy::{Mode, Proxy},
};

const ANN: &str = "name=Ann&email=a%40example.com&age=31";
const BEN: &str = "name=Ben&email=b%40example.com&age=32";

/// Two edits wait for a lock. The second waits for the first, then for the
/// lock, then is told 503: too long. But SQLite goes on with it, and makes it
/// when the lock is free. Whoever looked in between has put the old row back.
#[test]
fn an_edit_that_is_made_after_its_answer_is_not_hidden() {
    let hitrate = Arc::new(Hitrate::start());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut other)).unwrap();
    let edits = [ANN, BEN].map(|form| {
        let hitrate = Arc::clone(&hitrate);
        let edit = thread::spawn(move || hitrate.post("/profiles/123", form).status);
        thread::sleep(Duration::from_millis(10));
        edit
    });
    assert_eq!(edits.map(|edit| edit.join().unwrap()), [503, 503]);
    hitrate.get("/profiles?id=123");
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).unwrap();
    let name = |path| hitrate.json(path)["profile"]["name"].clone();
    thread::sleep(Duration::from_millis(100));
    eventually(BACK, "the cache has what the database has", || {
        name("/profiles?id=123") == name("/profiles?id=123&cache=off")
    });
}

/// Ann waits in Redis for the database. Ben is written by a process that has no
/// Redis at the moment, so he goes to the database at once. When that process
/// has Redis again, it reads Ann there, who is the earlier one: until she is
/// flushed, and found to be.
#[test]
#[ignore = "with write-behind, a write that went past Redis is hidden by an earlier one that waits"]
fn a_write_past_redis_is_not_hidden_by_an_earlier_one_that_waits() {
    let redis = Redis::start();
    let proxy = Proxy::before(&redis);
    let database = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", database.path().join("hitrate.db").display());
    let [here, there] = [proxy.url(), redis.url()].map(|url| {
        let setup = setup().set("REDIS_URL", url).set("DATABASE_URL", &database);
        setup.set("HITRATE_RECIPE", "write-behind").set("HITRATE_FLUSH_INTERVAL", "5s").start()
    });
    proxy.set(Mode::Refuse);
    eventually(BACK, "it has no Redis", || here.json("/")["hits"].is_null());
    assert_eq!(there.post("/profiles/123", ANN).status, 303);
    assert_eq!(here.post("/profiles/123", BEN).status, 303);
    proxy.set(Mode::Pass);
    eventually(BACK, "it has Redis again", || {
        let name = here.json("/profiles?id=123")["profile"]["name"].clone();
        assert_eq!(name, "Ben");
        here.json("/")["hits"].is_u64()
    });
    for hitrate in [&here, &there] {
        assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ben");
    }
}

/// A process has learned Redis's time over a network that is slow in one
/// direction: its idea of it is 100 ms behind. Now it writes Ben past Redis, 50 ms
/// after Ann was queued: by its clock he is the earlier one.
#[test]
#[ignore = "a clock that is behind lets an earlier write that waits replace a later one"]
fn a_write_past_redis_is_not_replaced_by_an_earlier_one_that_waits() {
    let redis = Redis::start();
    let proxy = Proxy::before(&redis);
    proxy.set(Mode::SlowAnswers(Duration::from_millis(200)));
    let database = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", database.path().join("hitrate.db").display());
    let [here, there] = [proxy.url(), redis.url()].map(|url| {
        let setup = setup().set("REDIS_URL", url).set("DATABASE_URL", &database);
        setup.set("HITRATE_RECIPE", "write-behind").set("HITRATE_FLUSH_INTERVAL", "500ms").start()
    });
    proxy.set(Mode::Refuse);
    eventually(BACK, "it has no Redis", || here.json("/")["hits"].is_null());
    assert_eq!(there.post("/profiles/123", ANN).status, 303);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(here.post("/profiles/123", BEN).status, 303);
    proxy.set(Mode::Pass);
    eventually(BACK, "nothing waits", || {
        redis.run(&["XLEN", "hitrate:write-behind"]) == redis::Value::Int(0)
    });
    assert_eq!(there.json("/profiles?id=123&cache=off")["profile"]["name"], "Ben");
}
