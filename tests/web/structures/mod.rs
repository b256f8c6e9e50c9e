//! Tests of all structures, by a loop over all, and of the pictures of each.

mod bounds;
mod examples;
mod faults;
mod follow;
mod growth;
mod pages;
mod pictures;
mod visitors;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use serde_json::Value;

use crate::harness::{Answer, Hitrate};

const JSON: (&str, &str) = ("accept", "application/json");
const DAY: i64 = 24 * 60 * 60;

/// A visitor with a cookie.
struct Player<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
    /// The result page of the last action, by structure.
    runs: Mutex<BTreeMap<String, String>>,
}

impl<'a> Player<'a> {
    fn new(hitrate: &'a Hitrate) -> Self {
        let first = hitrate.post("/structures/strings", "act=reset");
        assert_eq!(first.status, 303);
        Self { hitrate, cookie: first.cookie().to_owned(), runs: Mutex::default() }
    }

    fn send(&self, slug: &str, form: &str) -> Answer {
        let path = format!("/structures/{slug}");
        let answer = self.hitrate.post_with(&path, form, &[JSON, ("cookie", &self.cookie)]);
        if let Some(run) = answer.json()["run"].as_str() {
            self.runs.lock().unwrap().insert(slug.to_owned(), format!("{path}?run={run}"));
        }
        answer
    }

    /// The address of a browser after its last action.
    fn address(&self, slug: &str) -> String {
        let run = self.runs.lock().unwrap().get(slug).cloned();
        run.unwrap_or_else(|| format!("/structures/{slug}"))
    }

    fn play(&self, slug: &str, form: &str) -> Value {
        let answer = self.send(slug, form);
        assert_eq!(answer.status, 200, "{slug} {form}: {answer:?}");
        answer.json()
    }

    fn look(&self, slug: &str) -> Value {
        let answer = self.hitrate.get_with(&self.address(slug), &[JSON, ("cookie", &self.cookie)]);
        assert_eq!(answer.status, 200);
        answer.json()
    }

    fn page(&self, slug: &str) -> String {
        let answer = self.hitrate.get_with(&self.address(slug), &[("cookie", &self.cookie)]);
        assert_eq!(answer.status, 200);
        answer.body
    }

    /// The full name of a key in Redis.
    fn name(&self, slug: &str, key: &str) -> String {
        let look = self.look(slug);
        let keys = look["keys"].as_array().unwrap();
        let facts = keys.iter().find(|facts| facts["key"] == key).unwrap();
        facts["name"].as_str().unwrap().to_owned()
    }
}

fn replies(json: &Value) -> Vec<&str> {
    let exchanges = json["exchanges"].as_array().unwrap();
    exchanges.iter().map(|line| line["reply"].as_str().unwrap()).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All keys of demos.
fn keys(redis: &mut redis::Connection) -> BTreeSet<String> {
    redis::cmd("KEYS").arg("hitrate:demo:*").query(redis).unwrap()
}
