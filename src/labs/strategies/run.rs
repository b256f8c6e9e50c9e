//! Demo runs: a few steps that demonstrate what a policy guarantees or risks.

use std::time::Duration;

use crate::demo::{policy::Policy, strategy::Strategy};

/// A step on a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyStep {
    /// Reads the profile.
    Read,
    /// Writes the profile with the next age.
    Write,
    /// Invalidates the cached copy.
    Invalidate,
    /// Reads the profile several times concurrently.
    ConcurrentReads,
    /// Waits until the pending write has been flushed.
    Flush,
    /// Waits.
    Pause(Duration),
}

impl StrategyStep {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Invalidate => "invalidate",
            Self::ConcurrentReads => "concurrent-reads",
            Self::Flush => "flush",
            Self::Pause(_) => "pause",
        }
    }
}

/// A demo run, and what it demonstrates.
#[derive(Debug, Clone, Copy)]
pub struct StrategyRun {
    /// The steps, in order.
    pub steps: &'static [StrategyStep],
    /// The number of the step whose timeline is shown first.
    pub highlight: usize,
    /// Lesson of the run, while Redis is available.
    pub shows: &'static str,
    /// A shorter TTL than the policy's, if the run demonstrates expiry.
    pub ttl: Option<Duration>,
}

/// Short enough to wait for its last fifth, and long enough for a reload within
/// [`DELAY_MAX`] to finish in time.
const SHORT_TTL: Duration = Duration::from_secs(2);
/// A wait into the last fifth of [`SHORT_TTL`], the refresh window.
const UNTIL_REFRESH_WINDOW: Duration = Duration::from_millis(1_650);
/// A wait until the first copy has expired and the reloaded one has not.
const UNTIL_EXPIRED: Duration = Duration::from_millis(450);
/// Maximum simulated latency in a run: it has several reads, and the visitor waits for
/// all.
pub const DELAY_MAX: Duration = Duration::from_millis(200);

impl StrategyRun {
    /// The run that demonstrates this policy.
    pub const fn of(policy: &Policy) -> Self {
        match policy.strategy {
            Strategy::None => NONE,
            Strategy::CacheAside => CACHE_ASIDE,
            Strategy::ReadThrough if policy.cache.near.is_some() => NEAR,
            Strategy::ReadThrough => READ_THROUGH,
            Strategy::WriteThrough => WRITE_THROUGH,
            Strategy::WriteAround => WRITE_AROUND,
            Strategy::WriteBehind => WRITE_BEHIND,
            Strategy::RefreshAhead => REFRESH_AHEAD,
        }
    }
}

const NONE: StrategyRun = StrategyRun {
    steps: &[StrategyStep::Read, StrategyStep::Read, StrategyStep::Write, StrategyStep::Read],
    highlight: 2,
    shows: "Each read queries the database, the second as slowly as the first, and no value is ever stale.",
    ttl: None,
};

const CACHE_ASIDE: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Invalidate,
        StrategyStep::ConcurrentReads,
        StrategyStep::Read,
        StrategyStep::Write,
        StrategyStep::Read,
    ],
    highlight: 2,
    shows: "Concurrent readers all query the database (step 2); the next reader finds the copy. A write invalidates it, so the next read is a miss.",
    ttl: None,
};

const READ_THROUGH: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Invalidate,
        StrategyStep::ConcurrentReads,
        StrategyStep::Read,
        StrategyStep::Write,
        StrategyStep::Read,
    ],
    highlight: 2,
    shows: "Of several concurrent readers, one queries the database and the others wait for its result (step 2). A write invalidates the copy, so the next read is a miss.",
    ttl: None,
};

const NEAR: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Invalidate,
        StrategyStep::Read,
        StrategyStep::Read,
        StrategyStep::Read,
        StrategyStep::Write,
        StrategyStep::Read,
    ],
    highlight: 4,
    shows: "The first read fills Redis, the second fills the near cache, and the third queries neither Redis nor the database (step 4). A write invalidates both copies.",
    ttl: None,
};

const WRITE_THROUGH: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Invalidate,
        StrategyStep::Write,
        StrategyStep::Read,
        StrategyStep::Write,
        StrategyStep::Read,
    ],
    highlight: 2,
    shows: "After each write, the database and Redis hold the same value, and the next read is a hit.",
    ttl: None,
};

const WRITE_AROUND: StrategyRun = StrategyRun {
    steps: &[StrategyStep::Read, StrategyStep::Write, StrategyStep::Read, StrategyStep::Read],
    highlight: 2,
    shows: "A write leaves only a tombstone in Redis (step 2). The first read after it is a miss and waits for the database; the second is a hit.",
    ttl: None,
};

const WRITE_BEHIND: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Read,
        StrategyStep::Write,
        StrategyStep::Write,
        StrategyStep::Read,
        StrategyStep::Flush,
        StrategyStep::Read,
    ],
    highlight: 2,
    shows: "After each write, the database lags behind Redis (steps 2 and 3), but a read returns the new value. A flush writes only the last of several writes to the database.",
    ttl: None,
};

const REFRESH_AHEAD: StrategyRun = StrategyRun {
    steps: &[
        StrategyStep::Invalidate,
        StrategyStep::Read,
        StrategyStep::Pause(UNTIL_REFRESH_WINDOW),
        StrategyStep::Read,
        StrategyStep::Pause(UNTIL_EXPIRED),
        StrategyStep::Read,
    ],
    highlight: 4,
    shows: "This run uses a TTL of 2 s. A read near the end of the TTL is a hit and starts a background reload (step 4). After the first copy has expired, the next read is a hit on the new one.",
    ttl: Some(SHORT_TTL),
};
