//! What each recipe of caching promises, as the judge of a run needs it.

use std::{fmt, time::Duration};

use super::{
    nemesis::Outage,
    operation::{Kind, Operation, Outcome},
};

/// A way of caching, and its promise.
#[derive(Debug, PartialEq)]
pub struct Recipe {
    /// As it is asked for; `None` asks for nothing and gets the default.
    pub name: Option<&'static str>,
    /// Whether an acknowledged write is in the database already.
    pub writes_the_database_first: bool,
}

pub const UNNAMED: Recipe = Recipe { name: None, writes_the_database_first: true };

pub const ALL: &[Recipe] = &[UNNAMED];

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recipe {}", self.name.unwrap_or("as it comes"))
    }
}

/// After an outage Redis is told of what it missed within this: the connection
/// is tried each half second at least, and told first of all.
const TOLD: Duration = Duration::from_secs(2);

impl Recipe {
    /// From when on no read through `reader` returns anything older.
    pub fn visible(&self, write: &Operation, reader: usize, outages: &[Outage]) -> Duration {
        let Kind::Write { outcome, .. } = write.kind else { return write.end };
        match outcome {
            // Nobody was promised anything; still the copy goes with the answer,
            // or when its process is back and looks what it may have left.
            Outcome::Observed if !was_hindered(write, outages) => write.end,
            Outcome::Observed => told(write, outages),
            // The process that wrote it uses no older copy from then on, restarted or not.
            Outcome::Untold if reader != write.process => told(write, outages),
            _ => write.end,
        }
    }
}

fn was_hindered(write: &Operation, outages: &[Outage]) -> bool {
    outages.iter().any(|outage| {
        outage.fault.keeps_from_redis(write.process)
            && outage.start <= write.end
            && write.start <= outage.end + TOLD
    })
}

/// When Redis has been told at last of a write that it was not told of at
/// once: the outages that kept it from that may follow each other.
fn told(write: &Operation, outages: &[Outage]) -> Duration {
    let mut last = write.end;
    let mut in_order: Vec<_> =
        outages.iter().filter(|outage| outage.fault.keeps_from_redis(write.process)).collect();
    in_order.sort_by_key(|outage| outage.start);
    for outage in in_order {
        if outage.start <= last + TOLD {
            last = last.max(outage.end);
        }
    }
    last + TOLD
}
