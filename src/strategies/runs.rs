//! Runs: a few moves in a row that show what a recipe guarantees or risks.

use std::time::Duration;

use crate::cache::{Recipe, Strategy};

/// One thing done to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Looks it up.
    Read,
    /// Gives it the next age.
    Write,
    /// Drops it from the cache.
    Forget,
    /// Looks it up several times at once.
    Crowd,
    /// Waits until the database has what was written.
    Flush,
    /// Lets time go by.
    Pause(Duration),
}

/// A run, and what to look for in it.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// In this order.
    pub moves: &'static [Move],
    /// Where to look, in a sentence.
    pub shows: &'static str,
    /// A shorter TTL than the recipe's, where its end is to be seen.
    pub ttl: Option<Duration>,
}

/// So short that one can wait for its last fifth, and so long that a reload
/// within [`DELAY_MAX`] comes in time.
const SHORT: Duration = Duration::from_secs(2);
/// Into the last fifth of [`SHORT`].
const NEAR_ITS_END: Duration = Duration::from_millis(1_650);
/// Until the first copy's TTL is over, and its reload's is not.
const PAST_ITS_END: Duration = Duration::from_millis(450);
/// The most simulated latency in a run: it has several reads, and a visitor waits for all.
pub const DELAY_MAX: Duration = Duration::from_millis(200);

impl Run {
    /// The run that shows this recipe.
    pub const fn of(recipe: &Recipe) -> Self {
        match recipe.strategy {
            Strategy::None => NONE,
            Strategy::CacheAside => CACHE_ASIDE,
            Strategy::ReadThrough if recipe.near.is_some() => NEAR,
            Strategy::ReadThrough => READ_THROUGH,
            Strategy::WriteThrough => WRITE_THROUGH,
            Strategy::WriteAround => WRITE_AROUND,
            Strategy::WriteBehind => WRITE_BEHIND,
            Strategy::RefreshAhead => REFRESH_AHEAD,
        }
    }
}

const NONE: Run = Run {
    moves: &[Move::Read, Move::Read, Move::Write, Move::Read],
    shows: "Each read went to the database, the second as slowly as the first, and none was out of date.",
    ttl: None,
};

const CACHE_ASIDE: Run = Run {
    moves: &[Move::Forget, Move::Crowd, Move::Read, Move::Write, Move::Read],
    shows: "The readers who came at once each asked the database; the next found the copy. The write dropped it, so the last read was a miss.",
    ttl: None,
};

const READ_THROUGH: Run = Run {
    moves: &[Move::Forget, Move::Crowd, Move::Read, Move::Write, Move::Read],
    shows: "Of the readers who came at once one asked the database, and the others waited for its answer. The write dropped the copy, so the last read was a miss.",
    ttl: None,
};

const NEAR: Run = Run {
    moves: &[Move::Forget, Move::Read, Move::Read, Move::Read, Move::Write, Move::Read],
    shows: "The first read filled Redis, the second the near cache, and the third asked neither Redis nor the database. The write dropped both copies.",
    ttl: None,
};

const WRITE_THROUGH: Run = Run {
    moves: &[Move::Forget, Move::Write, Move::Read, Move::Write, Move::Read],
    shows: "After each write database and Redis held the same, and the next read was a hit.",
    ttl: None,
};

const WRITE_AROUND: Run = Run {
    moves: &[Move::Read, Move::Write, Move::Read, Move::Read],
    shows: "The write left nothing in Redis but a mark. The first read after it was a miss and waited for the database; the second was a hit.",
    ttl: None,
};

const WRITE_BEHIND: Run = Run {
    moves: &[Move::Read, Move::Write, Move::Write, Move::Read, Move::Flush, Move::Read],
    shows: "After each write the database was behind Redis, and the read in between got the new value all the same. Then both writes reached the database as one.",
    ttl: None,
};

const REFRESH_AHEAD: Run = Run {
    moves: &[
        Move::Forget,
        Move::Read,
        Move::Pause(NEAR_ITS_END),
        Move::Read,
        Move::Pause(PAST_ITS_END),
        Move::Read,
    ],
    shows: "With a TTL of 2 s in this run: the read near its end was a hit and began a reload in the background. When the first copy's time was over, the last read was a hit on the new one.",
    ttl: Some(SHORT),
};
