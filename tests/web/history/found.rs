//! Regressions found by earlier runs, each as a minimal sequence of steps.

use std::{sync::Arc, thread, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::{
    faults::BACK,
    harness::{Hitrate, TestRedis, eventually, setup},
    proxy::{Mode, Proxy},
};

const ANN: &str = "name=Ann&email=a%40example.com&age=31";
const BEN: &str = "name=Ben&email=b%40example.com&age=32";

/// Two edits wait for a lock and are answered with 503. SQLite still applies the second
/// once the lock is released. A read in between has cached the old row.
#[test]
fn an_edit_applied_after_its_response_is_not_hidden_by_a_cached_copy() {
    let hitrate = Arc::new(Hitrate::start());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut other)).unwrap();
    let edits = [ANN, BEN].map(|form| {
        let hitrate = Arc::clone(&hitrate);
        let edit = thread::spawn(move || hitrate.post("/profiles/123", form).status);
        // The first edit starts before the second.
        thread::sleep(Duration::from_millis(10));
        edit
    });
    assert_eq!(edits.map(|edit| edit.join().unwrap()), [503, 503]);
    hitrate.get("/profiles?id=123");
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).unwrap();
    let name = |path| hitrate.json(path)["profile"]["name"].clone();
    // Time for SQLite to acquire the lock and apply the edit.
    thread::sleep(Duration::from_millis(100));
    eventually(BACK, "cache and database agree", || {
        name("/profiles?id=123") == name("/profiles?id=123&cache=off")
    });
}

/// Two write-behind processes that share a database; the first has lost Redis.
struct Apart {
    proxy: Proxy,
    here: Hitrate,
    there: Hitrate,
    _database: TempDir,
}

/// Starts both processes. `before` is the mode of the network when the first one
/// connects to Redis.
fn apart(redis: &TestRedis, before: Mode, flush: &str) -> Apart {
    let proxy = Proxy::before(redis);
    proxy.set(before);
    let database = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", database.path().join("hitrate.db").display());
    let [here, there] = [proxy.url(), redis.url()].map(|redis| {
        let setup = setup().set("REDIS_URL", redis).set("DATABASE_URL", &url);
        setup.set("HITRATE_POLICY", "write-behind").set("HITRATE_FLUSH_INTERVAL", flush).start()
    });
    assert_eq!(name(&there), "Shaunak Dhande", "Redis has a copy");
    proxy.set(Mode::Refuse);
    eventually(BACK, "Redis is unreachable", || here.json("/")["hits"].is_null());
    Apart { proxy, here, there, _database: database }
}

fn write(hitrate: &Hitrate, form: &str) {
    assert_eq!(hitrate.post("/profiles/123", form).status, 303);
}

fn name(hitrate: &Hitrate) -> String {
    let name = hitrate.json("/profiles?id=123")["profile"]["name"].clone();
    name.as_str().unwrap().to_owned()
}

/// Ann is queued in Redis. Then a process without Redis writes Ben directly to the
/// database. When that process has Redis again, it must not read the earlier write, Ann,
/// from the queue.
#[test]
fn a_direct_write_is_not_hidden_by_an_earlier_queued_one() {
    let redis = TestRedis::start().unwrap();
    let Apart { proxy, here, there, .. } = &apart(&redis, Mode::Pass, "5s");
    write(there, ANN);
    write(here, BEN);
    proxy.set(Mode::Pass);
    eventually(BACK, "Redis is reachable again", || {
        assert_eq!(name(here), "Ben");
        here.json("/")["hits"].is_u64()
    });
    assert_eq!([name(here), name(there)], ["Ben", "Ben"]);
}

/// Ben is written directly to the database. Then Ann is queued, based on the copy in
/// Redis, which is older than Ben. When the first process has Redis again, it
/// invalidates versions older than Ben, and by version Ann is one.
#[test]
fn a_queued_write_is_not_hidden_by_an_earlier_direct_one() {
    let redis = TestRedis::start().unwrap();
    let Apart { proxy, here, there, .. } = &apart(&redis, Mode::Pass, "5s");
    write(here, BEN);
    write(here, BEN);
    write(there, ANN);
    assert_eq!(name(there), "Ann");
    proxy.set(Mode::Pass);
    eventually(BACK, "Redis is reachable again", || here.json("/")["hits"].is_u64());
    assert_eq!([name(here), name(there)], ["Ann", "Ann"]);
}

/// A process has estimated Redis's time over a network that is slow in one direction,
/// and its estimate is 100 ms behind. It writes Ben directly, 50 ms after Ann was
/// queued; by its estimate, Ben is earlier.
#[test]
fn a_direct_write_is_not_replaced_by_an_earlier_queued_one() {
    let redis = TestRedis::start().unwrap();
    let slow = Mode::SlowAnswers(Duration::from_millis(200));
    let Apart { proxy, here, there, .. } = &apart(&redis, slow, "500ms");
    write(there, ANN);
    thread::sleep(Duration::from_millis(50));
    write(here, BEN);
    proxy.set(Mode::Pass);
    eventually(BACK, "the queue is empty", || {
        redis.command(&["XLEN", "hitrate:write-behind"]) == "0"
    });
    assert_eq!(there.json("/profiles?id=123&cache=off")["profile"]["name"], "Ben");
}
