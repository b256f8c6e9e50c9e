//! What visitors did, in this process and for a while, so that a page can tell
//! it after a redirect. Found by a name in the address.

use std::sync::Arc;

use hitrate_cache::trace::Span;

use super::{args::Args, trial::Ran};
use crate::labs::support::results::Kept;

/// The most that are kept: some kilobytes each.
const MOST: u64 = 512;

/// One act, and what came of it.
#[derive(Clone)]
pub struct Played {
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
    pub trial: Option<Ran>,
}

/// The last acts of all visitors.
#[derive(Clone)]
pub struct Plays(Kept<Played>);

impl Default for Plays {
    fn default() -> Self {
        Self(Kept::at_most(MOST))
    }
}

impl Plays {
    /// The act of this name at this pattern, while it is kept.
    pub fn find(&self, name: &str, slug: &str) -> Option<Arc<Played>> {
        self.0.find(name).filter(|played| played.slug == slug)
    }

    /// Keeps an act. Returns the name it is found by.
    pub fn keep(&self, played: Played) -> (String, Arc<Played>) {
        self.0.keep(played)
    }
}
