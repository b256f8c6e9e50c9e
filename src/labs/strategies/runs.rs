//! Runs: a few moves in a row that show what a policy guarantees or risks.

use std::time::Duration;

use hitrate_cache::{CachePolicy, Strategy};

/// One thing done to a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Looks it up.
    Read,
    /// Gives it the next age.
    Write,
    /// Drops it from the cache.
    Invalidate,
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
    pub steps: &'static [Step],
    /// The number of the move whose timeline shows it best.
    pub tells: usize,
    /// Where to look, and what is to be seen there while Redis works.
    pub shows: &'static str,
    /// A shorter TTL than the policy's, where its end is to be seen.
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
    /// The run that shows this policy.
    pub const fn of(policy: &CachePolicy) -> Self {
        match policy.strategy {
            Strategy::None => NONE,
            Strategy::CacheAside => CACHE_ASIDE,
            Strategy::ReadThrough if policy.near.is_some() => NEAR,
            Strategy::ReadThrough => READ_THROUGH,
            Strategy::WriteThrough => WRITE_THROUGH,
            Strategy::WriteAround => WRITE_AROUND,
            Strategy::WriteBehind => WRITE_BEHIND,
            Strategy::RefreshAhead => REFRESH_AHEAD,
        }
    }
}

const NONE: Run = Run {
    steps: &[Step::Read, Step::Read, Step::Write, Step::Read],
    tells: 2,
    shows: "Each read asks the database, the second as slowly as the first, and none is out of date.",
    ttl: None,
};

const CACHE_ASIDE: Run = Run {
    steps: &[Step::Invalidate, Step::Crowd, Step::Read, Step::Write, Step::Read],
    tells: 2,
    shows: "Readers who come at once all ask the database (step 2); the next finds the copy. A write drops it, so the read after it is a miss.",
    ttl: None,
};

const READ_THROUGH: Run = Run {
    steps: &[Step::Invalidate, Step::Crowd, Step::Read, Step::Write, Step::Read],
    tells: 2,
    shows: "Of the readers who come at once one asks the database, and the others wait for its answer (step 2). A write drops the copy, so the read after it is a miss.",
    ttl: None,
};

const NEAR: Run = Run {
    steps: &[Step::Invalidate, Step::Read, Step::Read, Step::Read, Step::Write, Step::Read],
    tells: 4,
    shows: "The first read fills Redis, the second the near cache, and the third asks neither Redis nor the database (step 4). A write drops both copies.",
    ttl: None,
};

const WRITE_THROUGH: Run = Run {
    steps: &[Step::Invalidate, Step::Write, Step::Read, Step::Write, Step::Read],
    tells: 2,
    shows: "After each write the database and Redis hold the same, and the next read is a hit.",
    ttl: None,
};

const WRITE_AROUND: Run = Run {
    steps: &[Step::Read, Step::Write, Step::Read, Step::Read],
    tells: 2,
    shows: "A write leaves nothing in Redis but a mark (step 2). The first read after it is a miss and waits for the database, the second is a hit.",
    ttl: None,
};

const WRITE_BEHIND: Run = Run {
    steps: &[Step::Read, Step::Write, Step::Write, Step::Read, Step::Flush, Step::Read],
    tells: 2,
    shows: "After each write the database is behind Redis (steps 2 and 3), and a read gets the new value all the same. A flush takes the last of several writes to the database.",
    ttl: None,
};

const REFRESH_AHEAD: Run = Run {
    steps: &[
        Step::Invalidate,
        Step::Read,
        Step::Pause(NEAR_ITS_END),
        Step::Read,
        Step::Pause(PAST_ITS_END),
        Step::Read,
    ],
    tells: 4,
    shows: "With a TTL of 2 s in this run: a read near its end is a hit and begins a reload in the background (step 4). When the first copy's time is over, the next read is a hit on the new one.",
    ttl: Some(SHORT),
};
