//! The console: permitted and rejected commands, and ownership of keys.

mod faults;
mod own_keys;
mod refused;
mod replies;

use serde_json::{Value, json};

use crate::harness::{Answer, Hitrate};

const JSON: (&str, &str) = ("accept", "application/json");

/// A visitor of the console.
struct Visitor<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// A visitor with the cookie of a first `PING`.
    fn new(hitrate: &'a Hitrate) -> Self {
        let first = hitrate.post("/console", "command=PING");
        assert_eq!(first.status, 303, "{first:?}");
        Self { hitrate, cookie: first.cookie().to_owned() }
    }

    fn post(&self, command: &str) -> Answer {
        let body = json!({ "command": command }).to_string();
        let headers = [JSON, ("content-type", "application/json"), ("cookie", &self.cookie)];
        self.hitrate.send("POST", "/console", &headers, &body)
    }

    /// The reply to a command that must run.
    fn run(&self, command: &str) -> String {
        let answer = self.post(command);
        assert_eq!(answer.status, 200, "{command}: {answer:?}");
        answer.json()["reply"].as_str().unwrap().to_owned()
    }

    /// The reason why a command was not sent.
    fn refused(&self, command: &str) -> String {
        let answer = self.post(command);
        assert_eq!(answer.status, 422, "{command}: {answer:?}");
        let told = answer.json();
        assert_eq!((&told["sent"], &told["reply"]), (&Value::Null, &Value::Null), "{command}");
        told["refused"].as_str().unwrap_or_else(|| panic!("{command} was sent: {told}")).to_owned()
    }

    fn page(&self) -> String {
        self.hitrate.get_with("/console", &[("cookie", &self.cookie)]).body
    }

    fn prefix(&self) -> String {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        let told = self.hitrate.get_with("/console", &headers).json();
        told["prefix"].as_str().unwrap().to_owned()
    }
}

/// All keys of a server with their DUMP values, except those of visitors.
fn others(redis: &mut redis::Connection, but: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(redis).unwrap();
    keys.retain(|key| !key.starts_with(but.as_bytes()));
    keys.sort();
    let value = |key: Vec<u8>| {
        let dump: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(redis).unwrap();
        (key, dump.unwrap_or_default())
    };
    keys.into_iter().map(value).collect()
}
