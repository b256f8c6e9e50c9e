//! Results of actions, kept for the page after a redirect.

use std::sync::Arc;

use hitrate_cache::{redis::Refusal, trace::Span};
use serde::Serialize;
use utoipa::ToSchema;

use super::command_template::Values;
use crate::labs::support::{
    result_store::{RequestedRun, ResultStore, RunToken},
    visitor_keys::VisitorKeys,
};

/// Maximum size of all results together, in bytes.
const BYTES_MAX: u64 = 16 << 20;
/// Maximum number of visitors whose position in an example is known.
const EXAMPLES_MAX: u64 = 4_096;

/// The result of an action.
#[derive(Debug, Clone)]
pub struct PlaygroundResult {
    /// The structure.
    pub slug: &'static str,
    /// The title of the action.
    pub title: String,
    /// The commands and their replies.
    pub exchanges: Vec<Exchange>,
    /// The error reply of Redis, if there was one.
    pub refusal: Option<Refusal>,
    /// The encoding change, if the action was `grow`.
    pub encoding_change: Option<EncodingChange>,
    /// The last action, for the picture.
    pub last_action: Option<CompletedAction>,
    /// All round trips.
    pub trace: Vec<Span>,
    /// Microseconds from the first command to the last reply.
    pub elapsed_us: u64,
    /// The next step of the example; none if the action does not change it.
    pub next_step: Option<usize>,
}

/// A command with the tutorial's key names, and its reply as redis-cli prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Exchange {
    /// The command.
    pub command: String,
    /// The reply.
    pub reply: String,
    /// Whether the reply is an error.
    pub refused: bool,
    /// Lesson of the step of the example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shows: Option<&'static str>,
}

/// The sizes of a value on both sides of its encoding threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EncodingChange {
    /// The key.
    pub key: &'static str,
    /// The Redis setting; null if the threshold is fixed.
    pub setting: Option<&'static str>,
    /// The threshold.
    pub threshold: i64,
    /// Whether the connected server returned the threshold; otherwise it is Redis's
    /// default.
    pub is_from_server: bool,
    /// The unit of `count`, in plural.
    pub of: &'static str,
    /// At the threshold.
    pub before: Size,
    /// Past the threshold.
    pub after: Size,
    /// The change, in a sentence.
    pub message: String,
}

/// The size of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Size {
    /// Number of elements, bytes or members.
    pub count: u64,
    /// `listpack`, `hashtable` …
    pub encoding: Option<String>,
    /// Memory in bytes, by MEMORY USAGE.
    pub memory_bytes: Option<u64>,
}

/// A completed action.
#[derive(Debug, Clone)]
pub struct CompletedAction {
    /// The id of the action.
    pub act: &'static str,
    /// The values of its fields.
    pub values: Values,
    /// The members that a search found: the first part of each element of the last reply.
    pub found: Vec<String>,
}

impl PlaygroundResult {
    /// Approximate size in bytes.
    fn size(&self) -> usize {
        /// Overhead per line, in bytes.
        const LINE: usize = 128;
        let exchanges = self.exchanges.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let trace = self.trace.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let found = self.last_action.iter().flat_map(|done| &done.found).map(|it| it.len() + LINE);
        exchanges.chain(trace).chain(found).sum::<usize>() + 1_024
    }
}

impl CompletedAction {
    /// The value of a field with a single value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.first().map(String::as_str)
    }

    /// The value of a field as a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.parse().ok()
    }
}

/// The results of all visitors, and each visitor's position in the examples.
#[derive(Clone)]
pub struct PlaygroundResults {
    runs: ResultStore<RunToken, PlaygroundResult>,
    next_steps: ResultStore<VisitorKeys, usize>,
}

impl Default for PlaygroundResults {
    fn default() -> Self {
        Self {
            runs: ResultStore::with_max_bytes(BYTES_MAX, PlaygroundResult::size),
            next_steps: ResultStore::with_max_entries(EXAMPLES_MAX),
        }
    }
}

impl PlaygroundResults {
    /// The result that a request names, if it belongs to this structure.
    pub fn requested(&self, run: Option<&str>, slug: &str) -> RequestedRun<PlaygroundResult> {
        self.runs.requested(run, |outcome| outcome.slug == slug)
    }

    /// The next step of the example in this demo, from 1.
    pub fn next_step(&self, demo: &VisitorKeys) -> usize {
        self.next_steps.get(demo).map_or(1, |step| *step)
    }

    /// Stores a result and, if it changes, the position in the example.
    pub fn add(
        &self,
        demo: &VisitorKeys,
        outcome: PlaygroundResult,
    ) -> (RunToken, Arc<PlaygroundResult>) {
        if let Some(step) = outcome.next_step {
            self.next_steps.put(demo.clone(), step);
        }
        self.runs.add(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{labs::support::visitor_keys::VisitorId, token::Token};

    fn outcome(next_step: Option<usize>) -> PlaygroundResult {
        PlaygroundResult {
            slug: "sets",
            title: String::new(),
            exchanges: Vec::new(),
            refusal: None,
            encoding_change: None,
            last_action: None,
            trace: Vec::new(),
            elapsed_us: 0,
            next_step,
        }
    }

    #[test]
    fn the_position_in_an_example_is_kept() {
        let outcomes = PlaygroundResults::default();
        let demo = VisitorId::of(&Token::random()).keys("sets");
        for (step, next) in [(None, 1), (Some(3), 3), (None, 3), (Some(1), 1)] {
            outcomes.add(&demo, outcome(step));
            assert_eq!(outcomes.next_step(&demo), next);
        }
    }
}
