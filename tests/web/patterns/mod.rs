//! Tests of all patterns, by a loop over all: each action with valid, invalid and hostile
//! values, and each trial, whose wrong variants must fail.

mod acts;
mod bounds;
mod faults;
mod pages;
mod trials;
mod visitors;

use hitrate::labs::{patterns::RedisPattern, support::fields::Field};
use redis::Commands as _;
use serde_json::Value;

use crate::harness::{Answer, Hitrate};

const JSON: (&str, &str) = ("accept", "application/json");

/// A visitor with a cookie.
struct Visitor<'a> {
    hitrate: &'a Hitrate,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn new(hitrate: &'a Hitrate) -> Self {
        let cookie = hitrate.get("/patterns/expiring-key").cookie().to_owned();
        assert!(cookie.starts_with("hitrate_visitor="), "{cookie}");
        Self { hitrate, cookie }
    }

    fn post(&self, slug: &str, form: &str) -> Answer {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        self.hitrate.post_with(&format!("/patterns/{slug}"), form, &headers)
    }

    /// The result of an action.
    fn play(&self, slug: &str, form: &str) -> Value {
        let answer = self.post(slug, form);
        assert_eq!(answer.status, 200, "{slug} {form}: {answer:?}");
        answer.json()
    }

    /// The result page of an action, as a browser gets it.
    fn page(&self, slug: &str, form: &str) -> String {
        let cookie = [("cookie", self.cookie.as_str())];
        let posted = self.hitrate.post_with(&format!("/patterns/{slug}"), form, &cookie);
        assert_eq!(posted.status, 303, "{slug} {form}: {posted:?}");
        let path = posted.header("location").split('#').next().unwrap().to_owned();
        let page = self.hitrate.get_with(&path, &cookie);
        assert_eq!(page.status, 200, "{path}");
        page.body
    }

    fn look(&self, slug: &str) -> Value {
        let headers = [JSON, ("cookie", self.cookie.as_str())];
        self.hitrate.get_with(&format!("/patterns/{slug}"), &headers).json()
    }
}

fn lines(told: &Value) -> Vec<&str> {
    told["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

fn names(told: &Value) -> Vec<&str> {
    told["state"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

fn entry<'a>(told: &'a Value, name: &str) -> &'a Value {
    let entries = told["state"].as_array().unwrap();
    entries.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} of {told}"))
}

fn keys(redis: &mut redis::Connection, pattern: &str) -> Vec<String> {
    redis.keys(pattern).unwrap()
}

/// A form with this value in one field, and defaults in the others.
fn form(act: &str, field: &str, value: &str) -> String {
    let body = [("act", act), (field, value)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(body).finish()
}

/// The actions and the trial of a pattern, with their fields.
fn all_fields(
    pattern: &'static RedisPattern,
) -> impl Iterator<Item = (&'static str, &'static Field)> {
    let of_acts = pattern.acts.iter().map(|act| (act.id, act.fields));
    let all = of_acts.chain([("trial", pattern.trial.fields)]);
    all.flat_map(|(act, fields)| fields.iter().map(move |field| (act, field)))
}
