//! Outcomes: what an act led to, kept for the page after a redirect.

use std::sync::Arc;

use hitrate_cache::{redis::Refusal, trace::Span};
use serde::Serialize;
use utoipa::ToSchema;

use super::line::Values;
use crate::labs::support::{
    result_store::{RequestedRun, ResultStore, RunToken},
    visitor_keys::VisitorKeys,
};

/// The most bytes that all outcomes together may take.
const BYTES_MAX: u64 = 16 << 20;
/// The most visitors whose place in an example is known.
const EXAMPLES_MAX: u64 = 4_096;

/// What an act led to.
#[derive(Debug, Clone)]
pub struct PlaygroundResult {
    /// The structure.
    pub slug: &'static str,
    /// What was done, in a few words.
    pub title: String,
    /// The commands it is about, and what Redis answered.
    pub said: Vec<Exchange>,
    /// Redis's own words, if it refused one of them.
    pub refusal: Option<Refusal>,
    /// What growing led to.
    pub grown: Option<EncodingChange>,
    /// The last act by itself, for what is drawn of it.
    pub done: Option<Done>,
    /// Everything that went over the trace.
    pub trace: Vec<Span>,
    /// Microseconds from the first command to the last reply.
    pub elapsed_us: u64,
    /// Which step of the example comes next; none if that does not change.
    pub next_step: Option<usize>,
}

/// A command with the documents' names of keys, and its reply as redis-cli
/// prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Exchange {
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

/// A value on both sides of a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EncodingChange {
    /// Which key.
    pub key: &'static str,
    /// Redis's setting; null if the threshold is none of its settings.
    pub setting: Option<&'static str>,
    /// Its value.
    pub threshold: i64,
    /// Whether the connected server told it, or it is the usual one.
    pub was_told: bool,
    /// What is counted below.
    pub of: &'static str,
    /// At the threshold.
    pub before: Size,
    /// Beyond it.
    pub after: Size,
    /// What changed, in a sentence.
    pub message: String,
}

/// How large a value is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Size {
    /// By its own command.
    pub count: u64,
    /// `listpack`, `hashtable` …
    pub encoding: Option<String>,
    /// Bytes that it takes, by MEMORY USAGE.
    pub memory_bytes: Option<u64>,
}

/// An act that was done.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which.
    pub act: &'static str,
    /// What was in its fields.
    pub values: Values,
    /// Who a search found: the first of each part of the last reply.
    pub found: Vec<String>,
}

impl PlaygroundResult {
    /// Bytes that it takes, nearly.
    fn size(&self) -> usize {
        /// What a line takes besides its texts.
        const LINE: usize = 128;
        let said = self.said.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let trace = self.trace.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let found = self.done.iter().flat_map(|done| &done.found).map(|it| it.len() + LINE);
        said.chain(trace).chain(found).sum::<usize>() + 1_024
    }
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

/// The outcomes of all visitors, and where each visitor is in an example.
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
    /// The outcome that a request names, if it is one of this structure.
    pub fn requested(&self, run: Option<&str>, slug: &str) -> RequestedRun<PlaygroundResult> {
        self.runs.requested(run, |outcome| outcome.slug == slug)
    }

    /// The step of the example that comes next in this demo, from 1.
    pub fn next_step(&self, demo: &VisitorKeys) -> usize {
        self.next_steps.get(demo).map_or(1, |step| *step)
    }

    /// Keeps an outcome. The example goes on where it was, unless this was a part of it.
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
            said: Vec::new(),
            refusal: None,
            grown: None,
            done: None,
            trace: Vec::new(),
            elapsed_us: 0,
            next_step,
        }
    }

    #[test]
    fn an_example_goes_on_where_it_was() {
        let outcomes = PlaygroundResults::default();
        let demo = VisitorId::of(&Token::random()).keys("sets");
        for (step, next) in [(None, 1), (Some(3), 3), (None, 3), (Some(1), 1)] {
            outcomes.add(&demo, outcome(step));
            assert_eq!(outcomes.next_step(&demo), next);
        }
    }
}
