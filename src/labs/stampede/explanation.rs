//! Explains the result of a run.

use super::{run::PolicyRun, scenario::Start};

impl PolicyRun {
    /// The state of the key at the start, in a few words.
    pub fn found(&self) -> &'static str {
        match self.start {
            Start::Cold => "no value",
            Start::Expiring => "expiring",
            Start::Expired => "just expired",
        }
    }

    /// The effect of the policy in this run, in a sentence or two.
    pub fn explanation(&self) -> &'static str {
        match (self.policy, self.start) {
            ("none", _) => "There is no cache: every request, now and later, queries the database.",
            ("cache-aside", _) => {
                "Every request that misses queries the database, without regard to the others."
            }
            ("single-flight", _) => {
                "The first request loads the value. The others in this process wait for that load and share its result."
            }
            ("lease", _) => {
                "One request acquires a lease in Redis (SET … NX PX) and loads the value. The others poll every few milliseconds until the value is there. This works across any number of processes."
            }
            ("early-refresh" | "stale-while-revalidate", Start::Cold) => {
                "The initial value could not be stored, so the key was missing; all requests shared one load."
            }
            ("early-refresh", _) => self.early_refresh(),
            ("stale-while-revalidate", _) => self.stale_while_revalidate(),
            ("near-cache", _) => {
                "One load for all, as with read-through. Afterwards the near cache of this process responds, without querying Redis."
            }
            _ => {
                "One load for all: single-flight shares it within this process, a lease across processes. The key was cold, so there was no value to refresh early or to serve stale."
            }
        }
    }

    fn early_refresh(&self) -> &'static str {
        match (self.origin_loads, self.from_database) {
            (0, _) => {
                "All requests got the expiring copy. Early refresh is probabilistic (XFetch), and no request was chosen to reload it."
            }
            (_, 0) => {
                "All requests got the expiring copy. One was chosen at random (XFetch) to reload it in the background."
            }
            _ => {
                "Most requests got the expiring copy, and one of them reloaded it. Requests after its expiry waited for that load."
            }
        }
    }

    fn stale_while_revalidate(&self) -> &'static str {
        match self.stale {
            0 => {
                "The database responded within the soft timeout (100 ms), so all requests got the new value, from one load."
            }
            _ => {
                "After the soft timeout (100 ms), all waiting requests got the stale copy. One load continued in the background."
            }
        }
    }
}
