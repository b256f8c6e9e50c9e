//! The health of Redis, across all connections of this process.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    condition::Condition,
    redis::{
        breaker::BreakerState, clock::ServerClock, deferred::DeferredInvalidations,
        error::RedisError,
    },
};

/// Shared by all connections to one Redis, so that a change is logged once, and not
/// once per connection or request.
pub struct HealthMonitor {
    /// The condition changes with the first connection that goes down and the last that
    /// comes back.
    connections: Mutex<Connections>,
    connection: Condition<RedisError>,
    /// Counts lost connections; each loss makes the other connections ping at once.
    losses: watch::Sender<u64>,
    writes: Condition<RedisError>,
    permissions: Condition<RedisError>,
    /// Commands that an ACL denies.
    denied: Mutex<BTreeSet<String>>,
    /// Invalidations to run before their keys are used again.
    pub(super) deferred: DeferredInvalidations,
    /// Held by the connection that replays them; after a rejection, the time before
    /// which to not try again.
    pub(super) replay: tokio::sync::Mutex<Option<Instant>>,
    deferral: Condition<RedisError>,
    breakers: Mutex<Breakers>,
    /// Whether all breakers are closed, readable without a lock.
    closed: AtomicBool,
    /// Redis's clock.
    pub(super) clock: ServerClock,
}

/// How many connections there are, and how many of them are down.
#[derive(Default)]
struct Connections {
    open: usize,
    down: usize,
}

/// The combined state of all breakers.
struct Breakers {
    half_open: usize,
    open: usize,
    changed: Instant,
}

impl Breakers {
    /// The worst state.
    fn state(&self) -> BreakerState {
        match (self.open, self.half_open) {
            (1.., _) => BreakerState::Open,
            (0, 1..) => BreakerState::HalfOpen,
            (0, 0) => BreakerState::Closed,
        }
    }

    fn of(&mut self, state: BreakerState) -> Option<&mut usize> {
        match state {
            BreakerState::Closed => None,
            BreakerState::HalfOpen => Some(&mut self.half_open),
            BreakerState::Open => Some(&mut self.open),
        }
    }
}

/// The state of Redis as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisStatus {
    /// Reads and writes work.
    Up,
    /// Reads work; writes have been rejected for this long.
    Refusing(RedisError, Duration),
    /// Redis has been unavailable for this long.
    Down(RedisError, Duration),
}

impl Default for HealthMonitor {
    fn default() -> Self {
        Self {
            connections: Mutex::default(),
            connection: Condition::healthy("Redis connection (lookups ask the origin)"),
            losses: watch::Sender::new(0),
            writes: Condition::healthy("Redis writes (nothing is stored)"),
            permissions: Condition::healthy("Redis permissions (some commands are denied)"),
            denied: Mutex::default(),
            deferred: DeferredInvalidations::default(),
            replay: tokio::sync::Mutex::default(),
            deferral: Condition::healthy("Deferred invalidations (their keys are not used)"),
            breakers: Mutex::new(Breakers { half_open: 0, open: 0, changed: Instant::now() }),
            closed: AtomicBool::new(true),
            clock: ServerClock::default(),
        }
    }
}

impl HealthMonitor {
    /// The number of keys with a deferred invalidation. This process does not use
    /// their copies in Redis.
    pub fn deferred(&self) -> usize {
        self.deferred.len()
    }

    /// Records a replay of the deferred invalidations, and the error if Redis
    /// rejected one.
    pub(super) fn record_replay(&self, refusal: Option<&RedisError>) {
        match refusal {
            Some(error) => self.deferral.failing(error),
            None => self.deferral.recovered(),
        }
    }

    /// The state of Redis as a whole.
    pub fn status(&self) -> RedisStatus {
        if let Some((error, since)) = self.connection.failure() {
            return RedisStatus::Down(error, since);
        }
        match self.writes.failure().or_else(|| self.permissions.failure()) {
            Some((error, since)) => RedisStatus::Refusing(error, since),
            None => RedisStatus::Up,
        }
    }

    /// The worst state among the breakers, and how long ago it changed.
    pub fn breaker(&self) -> (BreakerState, Duration) {
        let breakers = self.breakers.lock().expect("counting does not panic");
        (breakers.state(), breakers.changed.elapsed())
    }

    /// Whether all breakers are closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Records a state change of one connection's breaker.
    pub(super) fn breaker_changed(&self, from: BreakerState, to: BreakerState) {
        if from == to {
            return;
        }
        let mut breakers = self.breakers.lock().expect("counting does not panic");
        let before = breakers.state();
        if let Some(count) = breakers.of(from) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = breakers.of(to) {
            *count += 1;
        }
        let state = breakers.state();
        if state != before {
            breakers.changed = Instant::now();
            self.closed.store(state == BreakerState::Closed, Ordering::Release);
        }
    }

    /// Records that there is one connection more, not connected yet.
    pub(super) fn connection_opened(&self) {
        self.connections.lock().expect("counting does not panic").open += 1;
    }

    /// Records that a connection went down.
    pub(super) fn connection_lost(&self, error: &RedisError) {
        self.connections.lock().expect("counting does not panic").down += 1;
        self.connection.failing(error);
        self.losses.send_modify(|losses| *losses += 1);
    }

    /// Records another failed attempt of a connection that is down.
    pub(super) fn connection_still_down(&self, error: &RedisError) {
        self.connection.failing(error);
    }

    /// Notifies of every lost connection.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// Records that a connection that was down works again.
    pub(super) fn connection_restored(&self) {
        let mut connections = self.connections.lock().expect("counting does not panic");
        connections.down = connections.down.saturating_sub(1);
        if connections.down == 0 {
            self.connection.recovered();
        }
    }

    /// Records that a connection is dropped. When it was the last that was down, and
    /// others work, Redis has recovered.
    pub(super) fn connection_dropped(&self, was_down: bool) {
        let mut connections = self.connections.lock().expect("counting does not panic");
        connections.open = connections.open.saturating_sub(1);
        connections.down = connections.down.saturating_sub(usize::from(was_down));
        if was_down && connections.down == 0 && connections.open > 0 {
            self.connection.recovered();
        }
    }

    /// Whether Redis currently refuses writes.
    pub(super) fn has_refused_writes(&self) -> bool {
        self.writes.failure().is_some()
    }

    /// Records a successful write.
    pub(super) fn record_write(&self) {
        self.writes.recovered();
    }

    /// Records the error of a command.
    pub(super) fn record_error(&self, verb: &str, error: &RedisError) {
        // Without a connection nothing was sent, so nothing was rejected.
        if self.connection.failure().is_some() {
            return;
        }
        if error.is_refused_write() {
            self.writes.failing(error);
        }
        if *error == RedisError::Denied {
            let mut denied = self.denied.lock().expect("inserting a verb does not panic");
            denied.insert(verb.to_owned());
            self.permissions.failing(error);
        }
    }

    /// Whether any command is currently denied.
    pub(super) fn has_denied(&self) -> bool {
        self.permissions.failure().is_some()
    }

    /// Records that a command is allowed.
    pub(super) fn record_allowed(&self, verb: &str) {
        let mut denied = self.denied.lock().expect("removing a verb does not panic");
        if denied.remove(verb) && denied.is_empty() {
            self.permissions.recovered();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_down(health: &HealthMonitor) -> bool {
        matches!(health.status(), RedisStatus::Down(..))
    }

    #[test]
    fn the_last_connection_that_is_down_decides_even_when_it_is_dropped() {
        let health = HealthMonitor::default();
        health.connection_opened();
        health.connection_opened();
        health.connection_lost(&RedisError::Unreachable);
        health.connection_lost(&RedisError::Unreachable);
        health.connection_restored();
        assert!(is_down(&health));
        health.connection_dropped(true);
        assert!(!is_down(&health), "the other connection works");
        health.connection_lost(&RedisError::Unreachable);
        health.connection_dropped(true);
        assert!(is_down(&health), "no connection is left that could work");
    }
}
