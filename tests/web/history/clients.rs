//! Clients that use the two processes during faults, and record every operation
//! and its result.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread::sleep,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use super::{
    operation::{INITIAL, Kind, Operation, Outcome, Route},
    policy::CachePolicy,
    world::World,
};
use crate::{
    faults::{BACK, JSON},
    harness::{Answer, TestRedis, eventually, setup},
};

/// Keys in use. There are few, so that reads and writes of one key overlap.
pub const KEYS: [&str; 3] = ["123", "456", "789"];
/// Clients of each process.
pub const CLIENTS: [Task; 6] =
    [Task::Write, Task::Write, Task::Read, Task::Read, Task::Read, Task::Visit];
/// Maximum pause between two requests of one client.
const PAUSE_MS: u64 = 12;
/// Maximum length of the occasional long pause of a writer.
const LONG_PAUSE_MS: u64 = 400;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Task {
    Write,
    Read,
    Visit,
}

/// One client of one process.
pub struct Client<'a> {
    pub world: &'a World,
    pub policy: &'a CachePolicy,
    pub process: usize,
    pub worker: usize,
    pub rng: StdRng,
    /// The next value to write. Each value is written only once in a run.
    pub values: &'a AtomicU64,
}

/// Result of a request.
enum Reply {
    Answered(Answer),
    /// The connection broke; the request may have been processed.
    Broken,
    /// The connection was refused, so the request was not processed.
    Refused,
}

impl<'a> Client<'a> {
    pub fn new(
        world: &'a World,
        policy: &'a CachePolicy,
        process: usize,
        worker: usize,
        seed: u64,
        values: &'a AtomicU64,
    ) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_add(worker as u64 * 1_000_003));
        Self { world, policy, process, worker, rng, values }
    }

    /// Repeats the task until `end`.
    pub fn work(mut self, task: Task, end: Duration) -> Vec<Operation> {
        let mut done = Vec::new();
        while self.world.now() < end {
            self.act(task, &mut done);
            sleep(self.pause(task));
        }
        done
    }

    fn act(&mut self, task: Task, done: &mut Vec<Operation>) {
        match task {
            Task::Write => done.extend(self.write()),
            Task::Read => self.look_up(done),
            Task::Visit => done.extend(self.visit()),
        }
    }

    /// A random pause. Writers sometimes pause for long, because the next write would
    /// hide the effects of the last one.
    fn pause(&mut self, task: Task) -> Duration {
        let max =
            if task == Task::Write && self.rng.random_bool(0.1) { LONG_PAUSE_MS } else { PAUSE_MS };
        Duration::from_millis(self.rng.random_range(0..=max))
    }

    fn write(&mut self) -> Option<Operation> {
        let key = self.key();
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let (name, policy) = (format!("w-{value}"), self.policy.name);
        let edit = json!({ "name": name, "email": "a@example.com", "age": 31, "policy": policy });
        let start = self.world.now();
        let reply = self.send("POST", &format!("/profiles/{key}"), &edit.to_string());
        let outcome = match reply {
            Reply::Refused => return None,
            Reply::Broken => Outcome::Unknown,
            Reply::Answered(answer) => outcome(&answer),
        };
        Some(self.operation(start, Kind::Write { key, value, outcome }))
    }

    /// Reads through the cache, and sometimes reads the database just before.
    fn look_up(&mut self, done: &mut Vec<Operation>) {
        let key = self.key();
        let delay_ms = match self.rng.random_bool(0.3) {
            true => self.rng.random_range(1..=30),
            false => 0,
        };
        if self.policy.writes_the_database_first() && self.rng.random_bool(0.2) {
            done.extend(self.read(key, Route::Origin, 0));
        }
        done.extend(self.read(key, Route::Cache, delay_ms));
    }

    pub fn read(&self, key: &'static str, route: Route, delay_ms: u32) -> Option<Operation> {
        let bypasses = matches!(route, Route::Origin | Route::OriginAtRest);
        let cache = if bypasses { "&cache=off" } else { "" };
        let policy = self.policy.name;
        let start = self.world.now();
        let path = format!("/profiles?id={key}&delay_ms={delay_ms}{cache}&policy={policy}");
        let Reply::Answered(answer) = self.send("GET", &path, "") else { return None };
        let value = value(&answer)?;
        let route = if route == Route::Cache { route_of(&answer) } else { route };
        Some(self.operation(start, Kind::Read { key, value, route }))
    }

    pub fn visit(&self) -> Option<Operation> {
        let start = self.world.now();
        let number = match self.send("GET", "/", "") {
            Reply::Refused => return None,
            Reply::Broken => None,
            Reply::Answered(answer) => answer.json()["hits"].as_u64(),
        };
        Some(self.operation(start, Kind::Count(number)))
    }

    fn key(&mut self) -> &'static str {
        KEYS[self.rng.random_range(0..KEYS.len())]
    }

    fn operation(&self, start: Duration, kind: Kind) -> Operation {
        let (process, worker) = (self.process, self.worker);
        Operation { process, worker, start, end: self.world.now(), kind }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let headers = [JSON, ("content-type", "application/json")];
        match self.world.process(self.process).try_send(method, path, &headers, body) {
            Ok(answer) => Reply::Answered(answer),
            Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Reply::Refused
            }
            Err(_) => Reply::Broken,
        }
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match answer.status {
        200 if answer.json()["invalidated"].is_null() => Outcome::Deferred,
        200 => Outcome::Acknowledged,
        503 => Outcome::Unknown,
        _ => panic!("unexpected response to an edit: {answer:?}"),
    }
}

/// The value that a lookup returned; `None` if it failed.
fn value(answer: &Answer) -> Option<u64> {
    match answer.status {
        200 => {
            let json: Value = answer.json();
            let name = json["profile"]["name"].as_str().expect("a profile has a name");
            Some(name.strip_prefix("w-").map_or(INITIAL, |value| value.parse().unwrap()))
        }
        503 => None,
        _ => panic!("unexpected response to a lookup: {answer:?}"),
    }
}

/// The route of a lookup through the cache, from the fields of its JSON. Only for a
/// stale copy does the sentence decide, and an unknown sentence fails the run.
fn route_of(answer: &Answer) -> Route {
    let json = answer.json();
    let message = json["message"].as_str().expect("a lookup has a message");
    match json["source"].as_str().expect("a lookup has a source") {
        "cache" | "memory" => Route::Cache,
        "database" if json["ttl_ms"].is_null() => Route::WithoutRedis,
        "database" => Route::Cache,
        "stale" if message.contains(REDIS_FAILED) => Route::StaleMemory,
        "stale" if message.contains(REDIS_ANSWERED) => Route::Cache,
        "stale" if message.contains(WITHIN_TTL) => Route::Cache,
        _ => panic!("unknown route of a lookup: {json}"),
    }
}

/// Part of the message about a stale copy if Redis failed as well as the database.
const REDIS_FAILED: &str = "The database failed, and so did Redis: ";
/// Part of the message about a copy past its TTL.
const REDIS_ANSWERED: &str = "found in cache, past its TTL. ";
/// Part of the message about a copy in memory that could not be compared with Redis.
const WITHIN_TTL: &str = "found in the memory of this process, within its TTL. ";

#[test]
fn the_route_of_a_lookup_is_recognized() {
    let (dir, mut redis) = (tempfile::tempdir().unwrap(), TestRedis::start().unwrap());
    let database = format!("sqlite://{}", dir.path().join("hitrate.db").display());
    let setup = setup().redis(&redis).set("DATABASE_URL", &database);
    let hitrate = setup.set("HITRATE_PROFILE_TTL", "1s").start();
    let look_up = || {
        let answer = hitrate.get_with("/profiles?id=123", &[JSON]);
        (answer.json()["source"].as_str().unwrap().to_owned(), route_of(&answer))
    };
    let is = |source: &str, route| look_up() == (source.to_owned(), route);
    assert!(is("database", Route::Cache), "the value is loaded and stored");
    assert!(is("cache", Route::Cache));
    rename_table(&database, "ALTER TABLE profiles RENAME TO profiles_away");
    eventually(BACK, "the copy is served past its TTL", || is("stale", Route::Cache));
    redis.kill();
    eventually(BACK, "the copy is served without Redis", || is("stale", Route::StaleMemory));
    rename_table(&database, "ALTER TABLE profiles_away RENAME TO profiles");
    eventually(BACK, "the database is read without Redis", || is("database", Route::WithoutRedis));
}

fn rename_table(database: &str, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(database).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}
