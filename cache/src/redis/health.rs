//! How Redis is doing, over all connections of this process.

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

/// Shared by all connections to one Redis, so that the log hears of a change
/// once and not once per connection or request.
pub struct Health {
    /// Connections that are down. The condition changes with the first and the last.
    down: Mutex<usize>,
    connection: Condition<RedisError>,
    /// Counts losses: each tells the other connections to look at once.
    losses: watch::Sender<u64>,
    writes: Condition<RedisError>,
    permissions: Condition<RedisError>,
    /// The commands that an access control list denies us.
    denied: Mutex<BTreeSet<String>>,
    /// What Redis has to be told before some keys are used again.
    pub(super) deferred: DeferredInvalidations,
    /// One connection at a time replays them, after a refusal not before this.
    pub(super) replay: tokio::sync::Mutex<Option<Instant>>,
    deferral: Condition<RedisError>,
    breakers: Mutex<Breakers>,
    /// Whether all of them are closed, for those who may not wait for a lock.
    closed: AtomicBool,
    /// What time it is in Redis.
    pub(super) clock: ServerClock,
}

/// The breakers of all connections, as one.
struct Breakers {
    half_open: usize,
    open: usize,
    changed: Instant,
}

impl Breakers {
    /// The worst of them.
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

/// What works at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthStatus {
    /// All of it.
    Up,
    /// Reads work, writes are refused, for this long already.
    Refusing(RedisError, Duration),
    /// Nothing, for this long already.
    Down(RedisError, Duration),
}

impl Default for Health {
    fn default() -> Self {
        Self {
            down: Mutex::new(0),
            connection: Condition::healthy("Redis connection (requests fall back to the database)"),
            losses: watch::Sender::new(0),
            writes: Condition::healthy("Redis writes (nothing is cached or counted)"),
            permissions: Condition::healthy("Redis permissions (some commands are denied)"),
            denied: Mutex::default(),
            deferred: DeferredInvalidations::default(),
            replay: tokio::sync::Mutex::default(),
            deferral: Condition::healthy("Deferred invalidations (their keys bypass the cache)"),
            breakers: Mutex::new(Breakers { half_open: 0, open: 0, changed: Instant::now() }),
            closed: AtomicBool::new(true),
            clock: ServerClock::default(),
        }
    }
}

impl Health {
    /// How many keys wait for a deferred invalidation. Nobody in this process uses
    /// what Redis holds under them.
    pub fn deferred(&self) -> usize {
        self.deferred.len()
    }

    /// Deferred invalidations were replayed; Redis refused one of them so.
    pub(super) fn record_replay(&self, refusal: Option<&RedisError>) {
        match refusal {
            Some(error) => self.deferral.failing(error),
            None => self.deferral.recovered(),
        }
    }

    /// What works at the moment.
    pub fn status(&self) -> HealthStatus {
        if let Some((error, since)) = self.connection.failure() {
            return HealthStatus::Down(error, since);
        }
        match self.writes.failure().or_else(|| self.permissions.failure()) {
            Some((error, since)) => HealthStatus::Refusing(error, since),
            None => HealthStatus::Up,
        }
    }

    /// The breakers of all connections as one, the worst counting, and how
    /// long ago that last changed.
    pub fn breaker(&self) -> (BreakerState, Duration) {
        let breakers = self.breakers.lock().expect("counting does not panic");
        (breakers.state(), breakers.changed.elapsed())
    }

    /// Whether all of them are closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// A connection's breaker turned.
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

    /// A connection went down.
    pub(super) fn connection_lost(&self, error: &RedisError) {
        *self.down.lock().expect("counting does not panic") += 1;
        self.connection.failing(error);
        self.losses.send_modify(|losses| *losses += 1);
    }

    /// A connection that is down still is, for this reason.
    pub(super) fn connection_still_down(&self, error: &RedisError) {
        self.connection.failing(error);
    }

    /// Tells when any connection is lost.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// A connection that was down works again.
    pub(super) fn connection_restored(&self) {
        let mut down = self.down.lock().expect("counting does not panic");
        *down = down.saturating_sub(1);
        if *down == 0 {
            self.connection.recovered();
        }
    }

    /// A connection that was down is not used any more.
    pub(super) fn connection_dropped(&self) {
        let mut down = self.down.lock().expect("counting does not panic");
        *down = down.saturating_sub(1);
    }

    /// A command that needs memory, or at least the right to write, worked.
    pub(super) fn record_write(&self) {
        self.writes.recovered();
    }

    /// The command `verb` was answered with `error`.
    pub(super) fn record_error(&self, verb: &str, error: &RedisError) {
        // Without a connection nothing was sent, so nothing was refused.
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

    /// Whether some command was denied to us that may be allowed again.
    pub(super) fn has_denied(&self) -> bool {
        self.permissions.failure().is_some()
    }

    /// The command `verb` is allowed.
    pub(super) fn record_allowed(&self, verb: &str) {
        let mut denied = self.denied.lock().expect("removing a verb does not panic");
        if denied.remove(verb) && denied.is_empty() {
            self.permissions.recovered();
        }
    }
}
