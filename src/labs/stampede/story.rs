//! What happened in a run, in words that are true for it.

use super::{run::PolicyRun, scenario::Start};

impl PolicyRun {
    /// What the crowd found, in a word or two.
    pub fn found(&self) -> &'static str {
        match self.start {
            Start::Cold => "nothing",
            Start::AboutToEnd => "about to end",
            Start::JustEnded => "just ended",
        }
    }

    /// What the policy did in this run, in a sentence.
    pub fn story(&self) -> &'static str {
        match (self.policy, self.start) {
            ("none", _) => {
                "There is no cache to fill: everyone asks the database, and so do all who come later."
            }
            ("cache-aside", _) => {
                "Everyone who finds nothing asks the database; nobody knows of the others."
            }
            ("single-flight", _) => {
                "The first one loads. The others in this process wait for that load and share its answer."
            }
            ("lease", _) => {
                "Redis lends the right to load to one (SET … NX PX). The others look again every few milliseconds until the value is there; this holds among any number of processes."
            }
            ("early-refresh" | "stale-while-revalidate", Start::Cold) => {
                "The value to begin with could not be stored, so the crowd found nothing; those who came shared one load."
            }
            ("early-refresh", _) => self.early_story(),
            ("stale-while-revalidate", _) => self.grace_story(),
            ("near-cache", _) => {
                "One load for all, as with default. Afterwards a copy in this process answers, and Redis is not asked."
            }
            _ => {
                "One load for all: single-flight shares it in this process, a lease among processes. On a cold key nothing was there to refresh early or to serve late."
            }
        }
    }

    fn early_story(&self) -> &'static str {
        match (self.origin_loads, self.from_database) {
            (0, _) => {
                "All got the copy that was about to end. Chance (XFetch) chose nobody to reload it."
            }
            (_, 0) => {
                "All got the copy that was about to end. Chance (XFetch) chose one of them to reload it, in the background."
            }
            _ => {
                "Most got the copy that was about to end, and one of them reloaded it. Who came after its end waited for that load."
            }
        }
    }

    fn grace_story(&self) -> &'static str {
        match self.stale {
            0 => {
                "The database was quicker than what a visitor does not notice (100 ms), so all got its new answer, from one load."
            }
            _ => {
                "After 100 ms, which a visitor does not notice, all who still waited got the copy that had just ended. One load went on in the background."
            }
        }
    }
}
