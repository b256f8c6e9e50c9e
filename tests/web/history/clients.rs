//! Those who use the two processes while things break, and write down what
//! they did and what they were told.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread::sleep,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    operation::{Door, INITIAL, Kind, Operation, Outcome},
    policy::CachePolicy,
    world::World,
};
use crate::{faults::JSON, harness::Answer};

/// Few, so that readers and writers meet.
pub const KEYS: [&str; 3] = ["123", "456", "789"];
/// Writers, readers and visitors of each process.
pub const CLIENTS: [Task; 6] =
    [Task::Write, Task::Write, Task::Read, Task::Read, Task::Read, Task::Visit];
/// The longest pause between two requests of one client.
const PAUSE_MS: u64 = 12;
/// The longest rest of a writer.
const REST_MS: u64 = 400;

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
    /// The next value to write: each is written once in a run.
    pub values: &'a AtomicU64,
}

/// What came of a request.
enum Reply {
    Answered(Answer),
    /// It may have been served, or not.
    Broken,
    /// Nobody listens: it was not served.
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

    /// Does its task again and again until `end`.
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
            Task::Read => self.look(done),
            Task::Visit => done.extend(self.visit()),
        }
    }

    /// Writers rest now and then: the next write hides what the last one left behind.
    fn pause(&mut self, task: Task) -> Duration {
        let max = if task == Task::Write && self.rng.random_bool(0.1) { REST_MS } else { PAUSE_MS };
        Duration::from_millis(self.rng.random_range(0..=max))
    }

    fn write(&mut self) -> Option<Operation> {
        let key = self.key();
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let (name, policy) = (format!("w-{value}"), self.policy.name);
        let edit = json!({ "name": name, "email": "a@example.com", "age": 31, "policy": policy });
        let start = self.world.now();
        let reply = self.ask("POST", &format!("/profiles/{key}"), &edit.to_string());
        let outcome = match reply {
            Reply::Refused => return None,
            Reply::Broken => Outcome::Unknown,
            Reply::Answered(answer) => outcome(&answer),
        };
        Some(self.did(start, Kind::Write { key, value, outcome }))
    }

    /// Reads through the cache; now and then what the database says just before.
    fn look(&mut self, done: &mut Vec<Operation>) {
        let key = self.key();
        let delay_ms = match self.rng.random_bool(0.3) {
            true => self.rng.random_range(1..=30),
            false => 0,
        };
        if self.policy.writes_the_database_first() && self.rng.random_bool(0.2) {
            done.extend(self.read(key, Door::Origin, 0));
        }
        done.extend(self.read(key, Door::Cache, delay_ms));
    }

    pub fn read(&self, key: &'static str, door: Door, delay_ms: u32) -> Option<Operation> {
        let past = matches!(door, Door::Origin | Door::OriginAtRest);
        let cache = if past { "&cache=off" } else { "" };
        let policy = self.policy.name;
        let start = self.world.now();
        let path = format!("/profiles?id={key}&delay_ms={delay_ms}{cache}&policy={policy}");
        let Reply::Answered(answer) = self.ask("GET", &path, "") else { return None };
        let value = value(&answer)?;
        let door = if door == Door::Cache { taken(&answer) } else { door };
        Some(self.did(start, Kind::Read { key, value, door }))
    }

    pub fn visit(&self) -> Option<Operation> {
        let start = self.world.now();
        let number = match self.ask("GET", "/", "") {
            Reply::Refused => return None,
            Reply::Broken => None,
            Reply::Answered(answer) => answer.json()["hits"].as_u64(),
        };
        Some(self.did(start, Kind::Count(number)))
    }

    fn key(&mut self) -> &'static str {
        KEYS[self.rng.random_range(0..KEYS.len())]
    }

    fn did(&self, start: Duration, kind: Kind) -> Operation {
        let (process, worker) = (self.process, self.worker);
        Operation { process, worker, start, end: self.world.now(), kind }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
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
        200 if answer.json()["invalidated"].is_null() => Outcome::Untold,
        200 => Outcome::Acknowledged,
        503 => Outcome::Unknown,
        _ => panic!("no answer to an edit: {answer:?}"),
    }
}

/// What a lookup found; nothing when it could not look.
fn value(answer: &Answer) -> Option<u64> {
    match answer.status {
        200 => {
            let told: Value = answer.json();
            let name = told["profile"]["name"].as_str().expect("a profile has a name");
            Some(name.strip_prefix("w-").map_or(INITIAL, |value| value.parse().unwrap()))
        }
        503 => None,
        _ => panic!("no answer to a lookup: {answer:?}"),
    }
}

/// Which way a lookup says that it took.
fn taken(answer: &Answer) -> Door {
    let told = answer.json();
    let says = |what| told["message"].as_str().is_some_and(|told| told.contains(what));
    match (says("It was not stored in Redis"), says("and so did Redis")) {
        (true, _) => Door::Detour,
        (_, true) => Door::Memory,
        _ => Door::Cache,
    }
}
