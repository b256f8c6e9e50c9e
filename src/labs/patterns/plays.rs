//! What visitors did, in this process and for a while, so that a page can tell
//! it after a redirect. Found by a name in the address.

use std::sync::Arc;

use hitrate_cache::trace::Span;

use super::{args::Args, trial::TrialReport};
use crate::labs::support::results::Kept;

/// The most that are kept: some kilobytes each.
const MAX_ENTRIES: u64 = 512;

/// One act, and what came of it.
#[derive(Clone)]
pub struct ActionResult {
    /// The pattern.
    pub slug: &'static str,
    /// The word that was sent.
    pub act: &'static str,
    /// What the act was told.
    pub args: Args,
    /// What came of it, line by line.
    pub lines: Vec<String>,
    /// What was said to Redis.
    pub said: Vec<Span>,
    /// What was counted, if it was a trial.
    pub trial: Option<TrialReport>,
}

/// The last acts of all visitors.
#[derive(Clone)]
pub struct ActionResults(Kept<ActionResult>);

impl Default for ActionResults {
    fn default() -> Self {
        Self(Kept::at_most(MAX_ENTRIES))
    }
}

impl ActionResults {
    /// The act of this name at this pattern, while it is kept.
    pub fn find(&self, name: &str, slug: &str) -> Option<Arc<ActionResult>> {
        self.0.find(name).filter(|played| played.slug == slug)
    }

    /// Keeps an act. Returns the name it is found by.
    pub fn keep(&self, played: ActionResult) -> (String, Arc<ActionResult>) {
        self.0.keep(played)
    }
}
