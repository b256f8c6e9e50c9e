//! The trials, as data. Each is a row of the table.

mod cost;
mod freshness;
mod misses;
mod outages;

use futures_util::future::BoxFuture;

pub use self::misses::{CALLERS, LOAD_TIME};
use crate::{Result, fact::Fact, pace::Pace, stage::Stage};

/// A trial: the same steps against each contestant, on a fresh Redis.
pub struct Trial {
    /// The row's first cell.
    pub name: &'static str,
    /// Steps and numbers that the name leaves out.
    pub settings: &'static str,
    pub kind: Kind,
    pub run: for<'a> fn(&'a mut Stage) -> BoxFuture<'a, Result<Vec<Fact>>>,
}

/// How to schedule the rounds of a trial.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Short,
    /// Waits for deadlines most of the time: contestants run side by side.
    Waiting,
    /// Waits, but measures a crowd: one contestant at a time.
    Long,
    /// Measures small times.
    Noisy,
}

impl Kind {
    pub fn rounds(self, pace: &Pace) -> usize {
        match self {
            Self::Short => pace.short,
            Self::Waiting | Self::Long => pace.long,
            Self::Noisy => pace.noisy,
        }
    }
}

/// All trials, in the order of the rows.
pub const ALL: [&Trial; 14] = [
    &misses::ONE_KEY,
    &misses::TWO_PROCESSES,
    &misses::FIRST_LEAVES,
    &misses::ORIGIN_FAILS,
    &freshness::LATE_FILL,
    &freshness::OTHER_INSTANCE,
    &freshness::PAST_TTL,
    &outages::FROZEN,
    &outages::KILLED,
    &outages::CROWD_WHILE_GONE,
    &cost::LARGE_VALUE,
    &cost::HIT_IN_REDIS,
    &cost::HIT_IN_MEMORY,
    &cost::MISSES,
];
