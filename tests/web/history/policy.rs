//! The consistency guarantee of each caching policy, as the checker uses it.

use std::{fmt, time::Duration};

use super::{
    nemesis::{Fault, Outage},
    operation::{Kind, Operation, Outcome, Route},
};

/// A caching policy and its guarantee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachePolicy {
    /// The name in requests.
    pub name: &'static str,
    guarantee: Guarantee,
}

/// The time after which no reader may see a value older than an acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Guarantee {
    /// Immediately after the acknowledgement: every read is served by the database.
    Immediate,
    /// Immediately after the acknowledgement, because the cache was invalidated
    /// before. If the response reports a deferred invalidation: immediately in the
    /// process that wrote, and in others once the invalidation has run.
    AfterInvalidation,
    /// As [`Self::AfterInvalidation`] in the process that wrote. Others must first
    /// receive the invalidation message, within [`PUSH_LIMIT`].
    AfterPush,
    /// Immediately after the acknowledgement, for reads that Redis answers. Reads
    /// without Redis may be outdated until the write is flushed to the database.
    /// Around an outage, some writes are queued in Redis while others go directly to
    /// the database; their order is settled once all are flushed.
    AfterFlush,
}

impl CachePolicy {
    pub const NONE: Self = Self { name: "none", guarantee: Guarantee::Immediate };
    pub const READ_THROUGH: Self =
        Self { name: "read-through", guarantee: Guarantee::AfterInvalidation };
    pub const NEAR_CACHE: Self = Self { name: "near-cache", guarantee: Guarantee::AfterPush };
    pub const WRITE_THROUGH: Self = Self { name: "write-through", ..Self::READ_THROUGH };
    pub const WRITE_AROUND: Self = Self { name: "write-around", ..Self::READ_THROUGH };
    pub const WRITE_BEHIND: Self = Self { name: "write-behind", guarantee: Guarantee::AfterFlush };
    pub const REFRESH_AHEAD: Self = Self { name: "refresh-ahead", ..Self::READ_THROUGH };

    /// All policies with a guarantee. The tutorial's cache-aside has none: a slow reader
    /// can store an outdated row after an edit.
    pub const ALL: [Self; 7] = [
        Self::NONE,
        Self::READ_THROUGH,
        Self::NEAR_CACHE,
        Self::WRITE_THROUGH,
        Self::WRITE_AROUND,
        Self::WRITE_BEHIND,
        Self::REFRESH_AHEAD,
    ];

    /// The tutorial's cache-aside, judged by the guarantee of the default policy.
    pub const CACHE_ASIDE: Self = Self { name: "cache-aside", ..Self::READ_THROUGH };
}

/// No guarantee: neither Redis nor the database could be read.
const NEVER: Duration = Duration::MAX;
/// Maximum time from the end of an outage until deferred invalidations have run. The
/// connection is retried at least every half second, and they run first.
const DEFERRED_LIMIT: Duration = Duration::from_secs(2);
/// Maximum delivery time of an invalidation message.
const PUSH_LIMIT: Duration = Duration::from_millis(250);
/// Maximum time until a queued write is flushed, without faults.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);
/// Maximum time until another process takes over the claimed writes of a dead one. They
/// must be idle for three seconds, and are checked every two seconds.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(6);

impl CachePolicy {
    /// Whether a write is acknowledged only after the database has it.
    pub fn writes_the_database_first(&self) -> bool {
        self.guarantee != Guarantee::AfterFlush
    }

    /// The time after which no read by `reader` through `route` may return an older value.
    pub fn visible(
        &self,
        write: &Operation,
        reader: usize,
        route: Route,
        outages: &[Outage],
    ) -> Duration {
        let Kind::Write { outcome, .. } = write.kind else { return write.end };
        if route == Route::StaleMemory && reader != write.process {
            return NEVER;
        }
        let invalidated = match outcome {
            _ if self.guarantee == Guarantee::Immediate => write.end,
            // The write was not acknowledged. Still, the copy is invalidated at the
            // response, or when the process restarts and invalidates recent edits.
            Outcome::Observed => invalidated(write, outages, Duration::ZERO),
            Outcome::Deferred if reader != write.process => {
                invalidated(write, outages, DEFERRED_LIMIT)
            }
            _ => write.end,
        };
        match self.guarantee {
            Guarantee::Immediate | Guarantee::AfterInvalidation => invalidated,
            Guarantee::AfterPush if reader == write.process => invalidated,
            Guarantee::AfterPush => invalidated.max(pushed(write, outages)),
            Guarantee::AfterFlush if route == Route::Cache => invalidated,
            Guarantee::AfterFlush => invalidated.max(flushed(write, outages)),
        }
    }
}

/// When a deferred invalidation has run at the latest: `min` after the response, and
/// [`DEFERRED_LIMIT`] after any outage that delayed it.
fn invalidated(write: &Operation, outages: &[Outage], min: Duration) -> Duration {
    let min = write.end + min;
    let recovery =
        |fault: Fault| fault.delays_invalidation(write.process).then_some(DEFERRED_LIMIT);
    recovered(write.start, min, outages, recovery).unwrap_or(min)
}

/// When another process has received the invalidation, or no longer serves its near
/// copies. Without Redis it serves them for up to five seconds, longer than any outage
/// here.
fn pushed(write: &Operation, outages: &[Outage]) -> Duration {
    let min = write.end + PUSH_LIMIT;
    let recovery = |fault: Fault| fault.affects_redis().then_some(DEFERRED_LIMIT);
    recovered(write.start, min, outages, recovery).unwrap_or(min)
}

/// When the write has been flushed to the database at the latest.
fn flushed(write: &Operation, outages: &[Outage]) -> Duration {
    let min = write.end + FLUSH_LIMIT;
    let recovery = |fault: Fault| match fault {
        Fault::Killed(_) => Some(TAKEOVER_LIMIT + FLUSH_LIMIT),
        _ => Some(DEFERRED_LIMIT + FLUSH_LIMIT),
    };
    recovered(write.end, min, outages, recovery).unwrap_or(min)
}

/// When the effects of all outages between `start` and `end`, and of those that began
/// before the effects had ended, are over; `None` if there were none. `recovery` is the
/// time that a fault has effects after its end; `None` if the fault is irrelevant.
fn recovered(
    start: Duration,
    end: Duration,
    outages: &[Outage],
    recovery: impl Fn(Fault) -> Option<Duration>,
) -> Option<Duration> {
    let mut relevant: Vec<_> = outages
        .iter()
        .filter_map(|outage| Some((outage.start, outage.end + recovery(outage.fault)?)))
        .filter(|(_, over)| *over >= start)
        .collect();
    relevant.sort();
    let mut last = None;
    for (began, over) in relevant {
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

    fn visible(
        guarantee: Guarantee,
        outcome: Outcome,
        reader: usize,
        outages: &[Outage],
    ) -> Duration {
        let kind = Kind::Write { key: "123", value: 1, outcome };
        let write = Operation { process: 0, worker: 0, start: ms(10), end: ms(20), kind };
        CachePolicy { name: "", guarantee }.visible(&write, reader, Route::Cache, outages)
    }

    #[test]
    fn an_acknowledged_write_is_visible_immediately_despite_faults() {
        let broken = [outage(Fault::RedisKilled, 0, 100)];
        for reader in [0, 1] {
            let seen =
                visible(Guarantee::AfterInvalidation, Outcome::Acknowledged, reader, &broken);
            assert_eq!(seen, ms(20));
        }
    }

    #[test]
    fn a_deferred_invalidation_is_visible_to_other_processes_after_the_outage() {
        let broken = [
            outage(Fault::Killed(0), 1_000, 1_500),
            outage(Fault::RedisKilled, 0, 100),
            outage(Fault::Killed(1), 3_000, 3_500),
            outage(Fault::Cut, 9_000, 9_000),
        ];
        let seen =
            |reader| visible(Guarantee::AfterInvalidation, Outcome::Deferred, reader, &broken);
        assert_eq!([seen(0), seen(1)], [ms(20), ms(3_500)]);
        assert_eq!(visible(Guarantee::AfterInvalidation, Outcome::Deferred, 1, &[]), ms(2_020));
        assert_eq!(visible(Guarantee::Immediate, Outcome::Deferred, 1, &broken), ms(20));
    }

    #[test]
    fn another_process_receives_the_push_or_drops_its_copies() {
        let seen = |reader, outages: &[Outage]| {
            visible(Guarantee::AfterPush, Outcome::Acknowledged, reader, outages)
        };
        assert_eq!([seen(0, &[]), seen(1, &[])], [ms(20), ms(270)]);
        let broken = [outage(Fault::RedisStopped, 100, 400)];
        assert_eq!([seen(0, &broken), seen(1, &broken)], [ms(20), ms(2_400)]);
    }

    #[test]
    fn reads_without_redis_may_be_outdated_until_the_flush() {
        let kind = Kind::Write { key: "123", value: 1, outcome: Outcome::Acknowledged };
        let write = Operation { process: 0, worker: 0, start: ms(10), end: ms(20), kind };
        let locked = [outage(Fault::DatabaseLocked, 100, 900)];
        let seen = |route, outages| CachePolicy::WRITE_BEHIND.visible(&write, 0, route, outages);
        assert_eq!([seen(Route::Cache, &[]), seen(Route::WithoutRedis, &[])], [ms(20), ms(520)]);
        assert_eq!(
            [seen(Route::Cache, &locked), seen(Route::WithoutRedis, &locked)],
            [ms(20), ms(3_400)]
        );
    }
}
