//! Outcomes: what the last act of each visitor led to, in this process and for
//! a while, so that the page after a redirect can tell it.

use std::{sync::Arc, time::Duration};

use hitrate_cache::{redis::Refusal, trace::Span};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::Serialize;
use utoipa::ToSchema;

use super::line::Values;
use crate::labs::support::visitor_keys::VisitorKeys;

/// What all outcomes together may take, in bytes; the oldest make room.
const MAX_ENTRIES: u64 = 16 << 20;
/// How long one is kept.
const KEPT: Duration = Duration::from_secs(30 * 60);

/// What an act led to.
#[derive(Debug, Clone)]
pub struct PlaygroundResult {
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
    fn size(&self) -> u32 {
        /// What a line takes besides its texts.
        const LINE: usize = 128;
        let said = self.said.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let trace = self.trace.iter().map(|it| it.command.len() + it.reply.len() + LINE);
        let found = self.done.iter().flat_map(|done| &done.found).map(|it| it.len() + LINE);
        u32::try_from(said.chain(trace).chain(found).sum::<usize>() + 1_024).unwrap_or(u32::MAX)
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

/// The last outcome of each demo in this process.
#[derive(Clone)]
pub struct PlaygroundResults(Cache<VisitorKeys, Arc<PlaygroundResult>>);

impl Default for PlaygroundResults {
    fn default() -> Self {
        let kept = Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(KEPT);
        let kept = kept.weigher(|_, outcome: &Arc<PlaygroundResult>| outcome.size());
        // The latest must find room, however often the others are looked at.
        Self(kept.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl PlaygroundResults {
    /// What the last act of this demo led to, if that is still kept.
    pub fn last(&self, demo: &VisitorKeys) -> Option<Arc<PlaygroundResult>> {
        self.0.get(demo)
    }

    /// Keeps an outcome. The example goes on where it was, unless this was a part of it.
    pub fn keep(&self, demo: VisitorKeys, mut outcome: PlaygroundResult) -> Arc<PlaygroundResult> {
        let before = self.last(&demo).and_then(|it| it.next_step);
        outcome.next_step = outcome.next_step.or(before);
        let outcome = Arc::new(outcome);
        self.0.insert(demo, Arc::clone(&outcome));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{labs::support::visitor_keys::VisitorId, token::Token};

    fn outcome(reply: &str, next_step: Option<usize>) -> PlaygroundResult {
        let (command, reply) = ("GET k".to_owned(), reply.to_owned());
        PlaygroundResult {
            title: String::new(),
            said: vec![Exchange { command, reply, refused: false, shows: None }],
            refusal: None,
            grown: None,
            done: None,
            trace: Vec::new(),
            elapsed_us: 0,
            next_step,
        }
    }

    #[test]
    fn only_so_much_is_kept_and_the_latest_is_among_it() {
        let (outcomes, large) = (PlaygroundResults::default(), "x".repeat(1 << 20));
        let demos: Vec<_> = (0..40).map(|_| VisitorId::of(&Token::random()).keys("sets")).collect();
        for demo in &demos {
            outcomes.keep(demo.clone(), outcome(&large, None));
        }
        outcomes.0.run_pending_tasks();
        assert!(outcomes.0.weighted_size() <= MAX_ENTRIES);
        assert!(outcomes.last(&demos[39]).is_some() && outcomes.last(&demos[0]).is_none());
    }

    #[test]
    fn an_example_goes_on_where_it_was() {
        let outcomes = PlaygroundResults::default();
        let demo = VisitorId::of(&Token::random()).keys("sets");
        outcomes.keep(demo.clone(), outcome("", Some(3)));
        assert_eq!(outcomes.keep(demo.clone(), outcome("", None)).next_step, Some(3));
        assert_eq!(outcomes.keep(demo, outcome("", Some(1))).next_step, Some(1));
    }
}
