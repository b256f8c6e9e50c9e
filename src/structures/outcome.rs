//! Outcomes: what the last act of each visitor led to, in this process and for
//! a while, so that the page after a redirect can tell it.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use serde::Serialize;
use utoipa::ToSchema;

use super::{growth::Grown, line::Values};
use crate::{
    demo::Demo,
    store::{Refusal, Value},
    wire::Step,
};

/// The most outcomes kept: with all they say some 10 MiB.
const MOST: u64 = 512;
/// How long one is kept.
const KEPT: Duration = Duration::from_secs(30 * 60);

/// What an act led to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was done, in a few words.
    pub title: String,
    /// The commands it is about, and what Redis answered.
    pub said: Vec<Said>,
    /// Redis's own words, if it refused one of them.
    pub refusal: Option<Refusal>,
    /// What growing led to.
    pub grown: Option<Grown>,
    /// The last act by itself, for what is drawn of it.
    pub done: Option<Done>,
    /// Everything that went over the wire.
    pub transcript: Vec<Step>,
    /// Microseconds from the first command to the last reply.
    pub elapsed_us: u64,
    /// Which step of the example comes next; none if that does not change.
    pub next_step: Option<usize>,
}

/// A command with the documents' names of keys, and its reply as redis-cli
/// prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Said {
    /// What was sent.
    pub command: String,
    /// What Redis answered.
    pub reply: String,
    /// Whether that is a refusal.
    pub refused: bool,
    /// What a step of the example shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows: Option<&'static str>,
}

/// An act that was done.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which.
    pub act: &'static str,
    /// What was in its fields.
    pub values: Values,
    /// What Redis answered to each of its commands.
    pub replies: Vec<Value>,
}

impl Done {
    /// What was in a field that has one value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.first().map(String::as_str)
    }

    /// The same, as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.parse().ok()
    }
}

/// The last outcome of each demo in this process.
#[derive(Clone)]
pub struct Outcomes(Cache<Demo, Arc<Outcome>>);

impl Default for Outcomes {
    fn default() -> Self {
        let kept = Cache::builder().max_capacity(MOST).time_to_live(KEPT);
        // The latest must find room, however often the others are looked at.
        Self(kept.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Outcomes {
    /// What the last act of this demo led to, if that is still kept.
    pub fn last(&self, demo: &Demo) -> Option<Arc<Outcome>> {
        self.0.get(demo)
    }

    /// Keeps an outcome. The example goes on where it was, unless this was a part of it.
    pub fn keep(&self, demo: Demo, mut outcome: Outcome) -> Arc<Outcome> {
        let before = self.last(&demo).and_then(|it| it.next_step);
        outcome.next_step = outcome.next_step.or(before);
        let outcome = Arc::new(outcome);
        self.0.insert(demo, Arc::clone(&outcome));
        outcome
    }
}
