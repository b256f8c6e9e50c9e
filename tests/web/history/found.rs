//! What runs have found: each as the shortest sequence of steps that shows it.

use std::{sync::Arc, thread, time::Duration};

use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

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
        // The one comes before the other.
        thread::sleep(Duration::from_millis(10));
        edit
    });
    assert_eq!(edits.map(|edit| edit.join().unwrap()), [503, 503]);
    hitrate.get("/profiles?id=123");
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).unwrap();
    let name = |path| hitrate.json(path)["profile"]["name"].clone();
    // SQLite has the lock by now, and makes what it goes on with.
    thread::sleep(Duration::from_millis(100));
    eventually(BACK, "the cache has what the database has", || {
        name("/profiles?id=123") == name("/profiles?id=123&cache=off")
    });
}

/// Two processes that write behind and share a database; the first has lost Redis.
struct Apart {
    proxy: Proxy,
    here: Hitrate,
    there: Hitrate,
    _database: TempDir,
}

/// The network was like `before` when the first process came to know Redis.
fn apart(redis: &Redis, before: Mode, flush: &str) -> Apart {
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
    eventually(BACK, "it has no Redis", || here.json("/")["hits"].is_null());
    Apart { proxy, here, there, _database: database }
}

fn write(hitrate: &Hitrate, form: &str) {
    assert_eq!(hitrate.post("/profiles/123", form).status, 303);
}

fn name(hitrate: &Hitrate) -> String {
    let name = hitrate.json("/profiles?id=123")["profile"]["name"].clone();
    name.as_str().unwrap().to_owned()
}

/// Ann waits in Redis for the database. Ben is written by a process that has no
/// Redis at the moment, so he goes to the database at once. When that process
/// has Redis again, it reads Ann there, who is the earlier one: until she is
/// flushed, and found to be.
#[test]
fn a_write_past_redis_is_not_hidden_by_an_earlier_one_that_waits() {
    let redis = Redis::start();
    let Apart { proxy, here, there, .. } = &apart(&redis, Mode::Pass, "5s");
    write(there, ANN);
    write(here, BEN);
    proxy.set(Mode::Pass);
    eventually(BACK, "it has Redis again", || {
        assert_eq!(name(here), "Ben");
        here.json("/")["hits"].is_u64()
    });
    assert_eq!([name(here), name(there)], ["Ben", "Ben"]);
}

/// The other way round: Ben went past Redis, then Ann was queued, on top of the
/// copy in Redis, which is older than Ben. When his process has Redis again, it
/// takes back whatever is older than Ben, and by its version Ann is.
#[test]
fn a_write_that_waits_is_not_hidden_by_an_earlier_one_past_redis() {
    let redis = Redis::start();
    let Apart { proxy, here, there, .. } = &apart(&redis, Mode::Pass, "5s");
    write(here, BEN);
    write(here, BEN);
    write(there, ANN);
    assert_eq!(name(there), "Ann");
    proxy.set(Mode::Pass);
    eventually(BACK, "it has Redis again", || here.json("/")["hits"].is_u64());
    assert_eq!([name(here), name(there)], ["Ann", "Ann"]);
}

/// A process has learned Redis's time over a network that is slow in one
/// direction: its idea of it is 100 ms behind. Now it writes Ben past Redis, 50 ms
/// after Ann was queued: by its clock he is the earlier one.
#[test]
fn a_write_past_redis_is_not_replaced_by_an_earlier_one_that_waits() {
    let redis = Redis::start();
    let slow = Mode::SlowAnswers(Duration::from_millis(200));
    let Apart { proxy, here, there, .. } = &apart(&redis, slow, "500ms");
    write(there, ANN);
    thread::sleep(Duration::from_millis(50));
    write(here, BEN);
    proxy.set(Mode::Pass);
    eventually(BACK, "nothing waits", || {
        redis.run(&["XLEN", "hitrate:write-behind"]) == redis::Value::Int(0)
    });
    assert_eq!(there.json("/profiles?id=123&cache=off")["profile"]["name"], "Ben");
}
