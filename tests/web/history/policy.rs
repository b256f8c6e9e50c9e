//! What each policy of caching promises, as the judge of a run needs it.

use std::{fmt, time::Duration};

use super::{
    nemesis::{Fault, Outage},
    operation::{Door, Kind, Operation, Outcome},
};

/// A way of caching, and its promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachePolicy {
    /// As it is asked for.
    pub name: &'static str,
    promise: Promise,
}

/// From when on nobody reads anything older than an acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Promise {
    /// From the acknowledgement on: nobody but the database is asked.
    AtOnce,
    /// From the acknowledgement on, as the cache was told before. When the
    /// answer says that it was not, in this process all the same, and in
    /// others when it is.
    WhenTold,
    /// The same in the process that wrote. Another has to hear of it: see [`PUSHED`].
    WhenPushed,
    /// From the acknowledgement on, where Redis answers. Until the database
    /// has it only Redis knows, so whoever does without it may be behind. And
    /// around an outage some writes wait in Redis while others go past it:
    /// which of them is the latest is found when all are flushed.
    WhenFlushed,
}

impl CachePolicy {
    pub const NONE: Self = Self { name: "none", promise: Promise::AtOnce };
    pub const DEFAULT: Self = Self { name: "read-through", promise: Promise::WhenTold };
    pub const NEAR: Self = Self { name: "near-cache", promise: Promise::WhenPushed };
    pub const WRITE_THROUGH: Self = Self { name: "write-through", ..Self::DEFAULT };
    pub const WRITE_AROUND: Self = Self { name: "write-around", ..Self::DEFAULT };
    pub const WRITE_BEHIND: Self = Self { name: "write-behind", promise: Promise::WhenFlushed };
    pub const REFRESH_AHEAD: Self = Self { name: "refresh-ahead", ..Self::DEFAULT };

    /// Those that keep what they promise. The tutorial's own guarantees nothing:
    /// a slow reader brings back what was edited meanwhile.
    pub const ALL: [Self; 7] = [
        Self::NONE,
        Self::DEFAULT,
        Self::NEAR,
        Self::WRITE_THROUGH,
        Self::WRITE_AROUND,
        Self::WRITE_BEHIND,
        Self::REFRESH_AHEAD,
    ];

    /// The tutorial's own, as if it promised what the default does.
    pub const PLAIN: Self = Self { name: "cache-aside", ..Self::DEFAULT };
}

/// What nobody could be asked about, nobody was promised.
const NEVER: Duration = Duration::MAX;
/// After an outage Redis is told of what it missed within this: the connection
/// is tried each half second at least, and told first of all.
const TOLD: Duration = Duration::from_secs(2);
/// A message from Redis to another process is there within this.
const PUSHED: Duration = Duration::from_millis(250);
/// A write waits so long for the database, when it has time.
const FLUSHED: Duration = Duration::from_millis(500);
/// What a dead process had taken, another takes over after this: it is left
/// alone for three seconds, and looked for each two.
const TAKEN_OVER: Duration = Duration::from_secs(6);

impl CachePolicy {
    /// Whether an acknowledged write is in the database already.
    pub fn writes_the_database_first(&self) -> bool {
        self.promise != Promise::WhenFlushed
    }

    /// From when on no read through `reader` and `door` returns anything older.
    pub fn visible(
        &self,
        write: &Operation,
        reader: usize,
        door: Door,
        outages: &[Outage],
    ) -> Duration {
        let Kind::Write { outcome, .. } = write.kind else { return write.end };
        if door == Door::Memory && reader != write.process {
            return NEVER;
        }
        let told = match outcome {
            _ if self.promise == Promise::AtOnce => write.end,
            // Nobody was promised anything; still the copy goes with the answer,
            // or when its process is back and looks what it may have left.
            Outcome::Observed => told(write, outages, Duration::ZERO),
            // Something was in the way, whether we know what or not.
            Outcome::Untold if reader != write.process => told(write, outages, TOLD),
            _ => write.end,
        };
        match self.promise {
            Promise::AtOnce | Promise::WhenTold => told,
            Promise::WhenPushed if reader == write.process => told,
            Promise::WhenPushed => told.max(pushed(write, outages)),
            Promise::WhenFlushed if door == Door::Cache => told,
            Promise::WhenFlushed => told.max(flushed(write, outages)),
        }
    }
}

/// When Redis has been told of a write that it may not have been told of at
/// once: `min` after the answer, and some time after what hindered it.
fn told(write: &Operation, outages: &[Outage], min: Duration) -> Duration {
    let min = write.end + min;
    let hinders = |fault: Fault| fault.keeps_from_redis(write.process).then_some(TOLD);
    overcome(write.start, min, outages, hinders).unwrap_or(min)
}

/// When another process has heard of it, or does not trust its own copies any
/// more: while Redis is away it does for five seconds, which no outage here takes.
fn pushed(write: &Operation, outages: &[Outage]) -> Duration {
    let min = write.end + PUSHED;
    let hinders = |fault: Fault| fault.is_about_redis().then_some(TOLD);
    overcome(write.start, min, outages, hinders).unwrap_or(min)
}

/// When the database has it as well.
fn flushed(write: &Operation, outages: &[Outage]) -> Duration {
    let min = write.end + FLUSHED;
    let hinders = |fault: Fault| match fault {
        Fault::Killed(_) => Some(TAKEN_OVER + FLUSHED),
        _ => Some(TOLD + FLUSHED),
    };
    overcome(write.end, min, outages, hinders).unwrap_or(min)
}

/// When that is overcome which happened between `start` and `end`, and what
/// happened before it was; `None` when nothing did. `takes` says for how long
/// a fault hinders after its end, if it does.
fn overcome(
    start: Duration,
    end: Duration,
    outages: &[Outage],
    takes: impl Fn(Fault) -> Option<Duration>,
) -> Option<Duration> {
    let mut hindering: Vec<_> = outages
        .iter()
        .filter_map(|outage| Some((outage.start, outage.end + takes(outage.fault)?)))
        .filter(|(_, over)| *over >= start)
        .collect();
    hindering.sort();
    let mut last = None;
    for (began, over) in hindering {
        if began <= end.max(last.unwrap_or_default()) {
            last = last.max(Some(over.max(end)));
        }
    }
    last
}

impl fmt::Display for CachePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn outage(fault: Fault, start: u64, end: u64) -> Outage {
        Outage { fault, start: ms(start), end: ms(end) }
    }

    fn visible(promise: Promise, outcome: Outcome, reader: usize, outages: &[Outage]) -> Duration {
        let kind = Kind::Write { key: "123", value: 1, outcome };
        let write = Operation { process: 0, worker: 0, start: ms(10), end: ms(20), kind };
        CachePolicy { name: "", promise }.visible(&write, reader, Door::Cache, outages)
    }

    #[test]
    fn what_the_cache_was_told_is_visible_at_once_whatever_is_broken() {
        let broken = [outage(Fault::RedisKilled, 0, 100)];
        for reader in [0, 1] {
            let seen = visible(Promise::WhenTold, Outcome::Acknowledged, reader, &broken);
            assert_eq!(seen, ms(20));
        }
    }

    #[test]
    fn what_it_was_not_told_is_visible_to_others_after_the_outage() {
        let broken = [
            outage(Fault::Killed(0), 1_000, 1_500),
            outage(Fault::RedisKilled, 0, 100),
            outage(Fault::Killed(1), 3_000, 3_500),
            outage(Fault::Cut, 9_000, 9_000),
        ];
        let seen = |reader| visible(Promise::WhenTold, Outcome::Untold, reader, &broken);
        assert_eq!([seen(0), seen(1)], [ms(20), ms(3_500)]);
        assert_eq!(visible(Promise::WhenTold, Outcome::Untold, 1, &[]), ms(2_020));
        assert_eq!(visible(Promise::AtOnce, Outcome::Untold, 1, &broken), ms(20));
    }

    #[test]
    fn another_process_hears_of_it_or_loses_trust_in_its_copies() {
        let seen = |reader, outages: &[Outage]| {
            visible(Promise::WhenPushed, Outcome::Acknowledged, reader, outages)
        };
        assert_eq!([seen(0, &[]), seen(1, &[])], [ms(20), ms(270)]);
        let broken = [outage(Fault::RedisStopped, 100, 400)];
        assert_eq!([seen(0, &broken), seen(1, &broken)], [ms(20), ms(2_400)]);
    }

    #[test]
    fn until_it_is_flushed_those_without_redis_may_be_behind() {
        let kind = Kind::Write { key: "123", value: 1, outcome: Outcome::Acknowledged };
        let write = Operation { process: 0, worker: 0, start: ms(10), end: ms(20), kind };
        let locked = [outage(Fault::DatabaseLocked, 100, 900)];
        let seen = |door, outages| CachePolicy::WRITE_BEHIND.visible(&write, 0, door, outages);
        assert_eq!([seen(Door::Cache, &[]), seen(Door::Detour, &[])], [ms(20), ms(520)]);
        assert_eq!([seen(Door::Cache, &locked), seen(Door::Detour, &locked)], [ms(20), ms(3_400)]);
    }
}
