//! The health of a cache, as plain data.

use std::time::Duration;

use crate::{
    redis::{BreakerState, HealthMonitor, RedisStatus},
    shared::Shared,
};

/// The health of a cache at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether Redis reads and writes.
    pub redis: RedisStatus,
    /// The worst state among the circuit breakers of the connections. While one is not
    /// closed, commands fail at once.
    pub breaker: BreakerState,
    /// How long ago that state began.
    pub breaker_since: Duration,
    /// Keys whose invalidation waits for Redis. This process does not use their copies.
    pub deferred_invalidations: usize,
    /// Whether Redis reports changes, so that near caches may keep copies.
    pub is_tracking: bool,
    /// Copies in the near cache, approximately.
    pub near_entries: u64,
    /// Loads that wait for a slot at the origin.
    pub queued_loads: usize,
    /// The most loads that have waited so far.
    pub max_queued_loads: usize,
}

impl Health {
    pub(crate) fn of(monitor: &HealthMonitor, shared: &Shared) -> Self {
        let (breaker, breaker_since) = monitor.breaker();
        Self {
            redis: monitor.status(),
            breaker,
            breaker_since,
            deferred_invalidations: monitor.deferred(),
            is_tracking: shared.near.is_tracking(),
            near_entries: shared.near.len(),
            queued_loads: shared.bulkhead.waiting(),
            max_queued_loads: shared.bulkhead.max_waiting(),
        }
    }
}
