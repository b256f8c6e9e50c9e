//! A connection to Redis that reconnects by itself.
//!
//! A request never waits for a reconnect. The supervisor's own task connects, pings
//! every second and after each failed command, and reconnects; meanwhile commands
//! fail at once. So a dead Redis costs a request nothing, a frozen one costs the
//! first request its deadline and the others nothing, and recovery needs no request
//! at all.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, Value};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::redis::{
    address::Address,
    breaker::{Breaker, SLOW},
    connection::{Connection, Reply, check_error, into_array},
    deferred::DeferredInvalidation,
    error::RedisError,
    health::HealthMonitor,
    script::is_noscript,
};

/// The deadline of a command. A visitor waits for a frozen Redis at most this long,
/// once; a busy one on loopback replies a thousand times faster.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// The deadline of a large pipeline, for which no visitor waits.
pub const BULK_DEADLINE: Duration = Duration::from_secs(5);
/// The timeout for connecting, in the background: long enough for a distant server
/// with TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Deferred invalidations per pipeline.
const REPLAY_BATCH: usize = 1_000;
/// Interval of pings on an idle connection, so that a silent failure is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of clock synchronisation; in between, clocks drift by microseconds.
const TIME_INTERVAL: Duration = Duration::from_secs(10);

/// A multiplexed connection, and the task that keeps it up.
pub struct Supervisor {
    address: Address,
    health: Arc<HealthMonitor>,
    state: watch::Sender<State>,
    breaker: Mutex<Breaker>,
    /// Whether recent calls were slow. If not, a fast call needs no bookkeeping.
    saw_slow: AtomicBool,
    probe_requested: Notify,
    /// Signals that calls were slow, for whatever reason.
    slow: Notify,
}

#[derive(Clone)]
enum State {
    Starting,
    /// The breaker is closed.
    Up(Connection),
    /// A command failed; the next ping decides.
    Suspect(RedisError),
    Down(RedisError),
}

impl Supervisor {
    /// Starts connecting, on the calling runtime, which also drives the connection.
    /// Stops when the last user drops it.
    pub fn open(address: &Address, health: Arc<HealthMonitor>) -> Arc<Self> {
        health.connection_opened();
        let supervisor = Arc::new(Self {
            address: address.clone(),
            health,
            state: watch::Sender::new(State::Starting),
            breaker: Mutex::new(Breaker::new(Instant::now())),
            saw_slow: AtomicBool::new(false),
            probe_requested: Notify::new(),
            slow: Notify::new(),
        });
        tokio::spawn(run(Arc::downgrade(&supervisor)));
        supervisor
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The connection, if it is up. Waits only for the very first attempt.
    pub async fn connection(&self) -> Result<Connection, RedisError> {
        if let Some(answer) = self.current() {
            return answer;
        }
        // Boxed, so that other requests don't carry its size.
        Box::pin(self.wait_until_started()).await;
        self.current().unwrap_or(Err(RedisError::Unreachable))
    }

    async fn wait_until_started(&self) {
        let mut states = self.state.subscribe();
        let started = states.wait_for(|state| !matches!(state, State::Starting));
        let _ = timeout(DEADLINE, started).await;
    }

    /// Records the duration of a command, and its error if it failed, which may
    /// open the breaker.
    pub fn record_call(&self, took: Duration, error: Option<&RedisError>) {
        match error {
            Some(error) if error.is_about_the_connection() => self.mark_failed(error),
            _ if took > SLOW || self.saw_slow.load(Ordering::Relaxed) => self.record_latency(took),
            _ => (),
        }
    }

    fn record_latency(&self, took: Duration) {
        let mut breaker = self.breaker();
        if breaker.record_latency(took) {
            self.slow.notify_one();
        }
        self.saw_slow.store(breaker.has_seen_slow(), Ordering::Relaxed);
    }

    /// Changes the breaker, and reports a change of its state to [`HealthMonitor`].
    fn transition(&self, change: impl FnOnce(&mut Breaker)) {
        let mut breaker = self.breaker();
        let before = breaker.state();
        change(&mut breaker);
        self.health.breaker_changed(before, breaker.state());
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().expect("a breaker does not panic")
    }

    /// A command failed: stop sending others until a probe succeeds.
    fn mark_failed(&self, error: &RedisError) {
        self.transition(|breaker| {
            breaker.record_failure(Instant::now());
        });
        self.request_probe(error);
    }

    fn request_probe(&self, error: &RedisError) {
        self.state.send_if_modified(|state| {
            let was_up = matches!(state, State::Up(_));
            if was_up {
                *state = State::Suspect(error.clone());
            }
            was_up
        });
        self.probe_requested.notify_one();
    }

    fn current(&self) -> Option<Result<Connection, RedisError>> {
        match &*self.state.borrow() {
            State::Up(connection) => Some(Ok(connection.clone())),
            State::Suspect(error) | State::Down(error) => Some(Err(error.for_unsent())),
            State::Starting => None,
        }
    }

    /// Connects, pings, synchronises the clock, and replays the deferred
    /// invalidations.
    async fn connect(&self) -> Result<Connection, RedisError> {
        let connection = Connection::open(&self.address, CONNECT_TIMEOUT).await?;
        ping(&connection).await?;
        self.sync_clock(&connection).await?;
        self.replay(&connection).await?;
        Ok(connection)
    }

    /// Reads the server's time. If the server denies TIME, the local clock is used.
    async fn sync_clock(&self, connection: &Connection) -> Result<(), RedisError> {
        let Reply { value, sent, .. } = connection.send(&redis::cmd("TIME"), DEADLINE).await;
        let time = check_error(value?).map(redis::from_redis_value::<(u64, u64)>);
        if let Ok(Ok((seconds, micros))) = time {
            self.health.clock.set(seconds * 1_000_000 + micros, sent);
        }
        Ok(())
    }

    /// Replays the deferred invalidations in pipelines, on one connection at a
    /// time; the other connections carry on, as no one uses those keys. An
    /// invalidation that Redis rejects stays deferred without blocking the others,
    /// unless Redis rejects all writes.
    async fn replay(&self, connection: &Connection) -> Result<(), RedisError> {
        if !self.health.deferred.any() {
            return Ok(());
        }
        let Ok(mut not_before) = self.health.replay.try_lock() else { return Ok(()) };
        if not_before.is_some_and(|it| Instant::now() < it) {
            return Ok(());
        }
        let mut refusal = None;
        for deferred in self.health.deferred.all().chunks(REPLAY_BATCH) {
            let evalsha = |invalidation: &DeferredInvalidation| Some(invalidation.command());
            let (unknown, refused) = self.replay_batch(connection, deferred, evalsha).await?;
            // Redis restarted, or its script cache was flushed.
            let (_, others) = self
                .replay_batch(connection, &unknown, DeferredInvalidation::eval_fallback)
                .await?;
            refusal = refusal.or(refused).or(others);
            if refusal.as_ref().is_some_and(RedisError::is_refused_write) {
                break;
            }
        }
        *not_before = refusal.is_some().then(|| Instant::now() + PING_INTERVAL);
        self.health.record_replay(refusal.as_ref());
        Ok(())
    }

    /// One round trip. Returns the invalidations whose script Redis does not have,
    /// and the first error reply.
    async fn replay_batch(
        &self,
        connection: &Connection,
        deferred: &[(String, DeferredInvalidation)],
        call: impl Fn(&DeferredInvalidation) -> Option<Cmd>,
    ) -> Result<(Vec<(String, DeferredInvalidation)>, Option<RedisError>), RedisError> {
        let (mut pipeline, mut pending) = (Pipeline::with_capacity(deferred.len()), Vec::new());
        for (key, invalidation) in deferred {
            if let Some(call) = call(invalidation) {
                pipeline.add_command(call);
                pending.push((key, invalidation));
            }
        }
        let replies = into_array(connection.send_all(&pipeline, BULK_DEADLINE).await.value?)?;
        let (mut unknown, mut refusal) = (Vec::new(), None);
        for ((key, invalidation), reply) in pending.into_iter().zip(replies) {
            if is_noscript(&reply) {
                unknown.push((key.clone(), invalidation.clone()));
                continue;
            }
            match check_error(reply) {
                Ok(_) => self.health.deferred.done(key, invalidation),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Ok((unknown, refusal))
    }

    fn set_state(&self, state: State) {
        let was_down = matches!(*self.state.borrow(), State::Down(_));
        match &state {
            State::Down(error) => {
                let denied = *error == RedisError::Denied;
                self.transition(|breaker| {
                    breaker.probe_failed(denied, rand::random(), Instant::now())
                });
                if was_down {
                    self.health.connection_still_down(error)
                } else {
                    self.health.connection_lost(error)
                }
            }
            State::Up(_) => {
                self.transition(Breaker::close);
                self.saw_slow.store(false, Ordering::Relaxed);
                if was_down {
                    self.health.connection_restored();
                }
            }
            _ => (),
        }
        self.state.send_replace(state);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.transition(Breaker::close);
        self.health.connection_dropped(matches!(*self.state.borrow(), State::Down(_)));
    }
}

/// The supervisor's task: connects, monitors the connection, and reconnects.
async fn run(supervisor: Weak<Supervisor>) {
    loop {
        let Some(this) = supervisor.upgrade() else { return };
        this.transition(Breaker::begin_probe);
        let error = match this.connect().await {
            Ok(connection) => {
                this.set_state(State::Up(connection.clone()));
                drop(this);
                monitor(&supervisor, connection).await
            }
            Err(error) => error,
        };
        let Some(this) = supervisor.upgrade() else { return };
        this.set_state(State::Down(error.before_send()));
        let backoff = this.breaker().backoff(Instant::now());
        drop(this);
        sleep(backoff).await;
    }
}

/// Monitors the connection until it fails. Returns the error.
async fn monitor(supervisor: &Weak<Supervisor>, connection: Connection) -> RedisError {
    let Some(mut losses) = supervisor.upgrade().map(|this| this.health.losses()) else {
        return RedisError::Unreachable;
    };
    let mut clock_synced = Instant::now();
    loop {
        let Some(this) = supervisor.upgrade() else { return RedisError::Unreachable };
        let (is_requested, is_suspect) = tokio::select! {
            () = this.probe_requested.notified() => (true, true),
            () = this.slow.notified() => (false, true),
            _ = losses.changed() => (false, false),
            () = sleep(PING_INTERVAL) => (false, false),
        };
        if is_requested {
            let backoff = this.breaker().backoff(Instant::now());
            sleep(backoff).await;
            this.transition(Breaker::begin_probe);
        }
        let took = match ping(&connection).await {
            Ok(took) => took,
            Err(error) => return error,
        };
        if let Err(error) = this.replay(&connection).await {
            return error;
        }
        if clock_synced.elapsed() >= TIME_INTERVAL {
            let _ = this.sync_clock(&connection).await;
            clock_synced = Instant::now();
        }
        if is_suspect && took > SLOW && is_slow(&connection).await {
            // Redis replies, but too slowly: probe again after the backoff.
            this.set_state(State::Down(RedisError::TimedOut));
            this.probe_requested.notify_one();
        } else if is_requested {
            this.set_state(State::Up(connection.clone()));
        }
    }
}

/// Confirms that Redis is slow: it may have just resumed, or this thread may be
/// overloaded, which delays everything.
async fn is_slow(connection: &Connection) -> bool {
    let lag = scheduler_lag().await;
    ping(connection).await.is_ok_and(|took| took > SLOW && took > 4 * lag)
}

/// How late this thread resumes a task: a reply is delayed as much, whatever Redis
/// does.
async fn scheduler_lag() -> Duration {
    let pause = Duration::from_millis(2);
    let start = Instant::now();
    sleep(pause).await;
    start.elapsed().saturating_sub(pause)
}

/// Pings, and returns the round-trip time.
async fn ping(connection: &Connection) -> Result<Duration, RedisError> {
    let Reply { value, took, .. } = connection.send(&redis::cmd("PING"), DEADLINE).await;
    match check_error(value?) {
        // A Redis that can't save to disk replies to PING with an error, but serves
        // reads.
        Err(error) if !error.is_refused_write() => Err(error),
        _ => Ok(took),
    }
}

/// Sends one command, within the deadline. An error reply is a value.
pub async fn send(supervisor: &Supervisor, command: &Cmd) -> Reply {
    let connection = match supervisor.connection().await {
        Ok(connection) => connection,
        Err(error) => {
            return Reply { value: Err(error), sent: Instant::now(), took: Duration::ZERO };
        }
    };
    let reply = connection.send(command, DEADLINE).await;
    supervisor.record_call(reply.took, reply.value.as_ref().err());
    reply
}

/// Sends a pipeline in one round trip. An error reply is a value.
pub async fn send_all(
    supervisor: &Supervisor,
    pipeline: &Pipeline,
    deadline: Duration,
) -> Result<Vec<Value>, RedisError> {
    let Reply { value, took, .. } =
        supervisor.connection().await?.send_all(pipeline, deadline).await;
    // Bulk work may be slow.
    let took = if deadline == DEADLINE { took } else { Duration::ZERO };
    supervisor.record_call(took, value.as_ref().err());
    into_array(value?)
}
