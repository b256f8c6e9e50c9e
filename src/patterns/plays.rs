//! What visitors did, in this process and for a while, so that a page can tell
//! it after a redirect. Found by a name in the address.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::{args::Args, trial::Ran};
use crate::wire::Step;

/// The most that are kept: some kilobytes each.
const MOST: u64 = 512;
/// How long each is kept.
const KEPT: Duration = Duration::from_secs(30 * 60);

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
    pub said: Vec<Step>,
    /// What was counted, if it was a trial.
    pub trial: Option<Ran>,
}

/// The last acts of all visitors.
#[derive(Clone)]
pub struct Plays(Cache<String, Arc<Played>>);

impl Default for Plays {
    fn default() -> Self {
        let plays = Cache::builder().max_capacity(MOST).time_to_live(KEPT);
        Self(plays.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Plays {
    /// The act of this name at this pattern, while it is kept.
    pub fn find(&self, name: &str, slug: &str) -> Option<Arc<Played>> {
        self.0.get(name).filter(|played| played.slug == slug)
    }

    /// Keeps an act. Returns the name it is found by, which nobody can guess.
    pub fn keep(&self, played: Played) -> (String, Arc<Played>) {
        let (name, played) = (format!("{:032x}", rand::random::<u128>()), Arc::new(played));
        self.0.insert(name.clone(), Arc::clone(&played));
        (name, played)
    }
}
