//! The handle to Redis: builds commands, sends them one by one or as a pipeline,
//! and reports the outcome to health and trace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, ToRedisArgs};
use tokio::time::sleep;

use crate::{
    redis::{
        Address, Command, FromRedisValue, HealthMonitor, Key, RedisError, RedisStatus, Refusal,
        Script, Value,
        batch::{Batch, BatchReplies},
        command::proves_writing,
        connection::{Reply, check_error},
        deferred::DeferredInvalidation,
        memory::{MemoryServer, reply_without_storing},
        notation::traced_reply,
        reply::{self, typed},
        script::is_noscript,
        supervisor::{self, Supervisor},
    },
    trace::{RoundTrip, Trace},
};

/// A handle to one Redis connection. Cloning it is cheap and shares the connection;
/// each web worker opens its own.
#[derive(Clone)]
pub struct Client {
    pub(super) backend: Backend,
    pub(super) health: Arc<HealthMonitor>,
    pub(super) prefix: Arc<str>,
}

/// What runs the commands.
#[derive(Clone)]
pub(super) enum Backend {
    /// A Redis server.
    Redis(Arc<Supervisor>),
    /// This process.
    #[cfg_attr(not(any(test, feature = "test-util")), expect(dead_code, reason = "for tests"))]
    Memory(Arc<MemoryServer>),
    /// Nothing: there never is a copy.
    Off,
}

/// Why an invalidation did not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeferError {
    /// Redis failed; the invalidation is deferred and will be replayed.
    Deferred(RedisError),
    /// Redis failed, and too many invalidations are deferred already.
    LimitReached(RedisError),
}

impl DeferError {
    /// The failure of Redis.
    pub fn into_cause(self) -> RedisError {
        match self {
            Self::Deferred(error) | Self::LimitReached(error) => error,
        }
    }
}

impl Client {
    /// Opens a connection in the background, on the calling runtime. `prefix` is
    /// put before every key.
    pub fn open(address: &Address, prefix: &str, health: &Arc<HealthMonitor>) -> Self {
        let backend = Backend::Redis(Supervisor::open(address, Arc::clone(health)));
        Self { backend, health: Arc::clone(health), prefix: prefix.into() }
    }

    /// A client whose commands run in this process: only those that a cache sends.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn in_memory(prefix: &str) -> Self {
        let backend = Backend::Memory(Arc::default());
        Self { backend, health: Arc::default(), prefix: prefix.into() }
    }

    /// A client whose commands store and find nothing.
    pub(crate) fn off() -> Self {
        Self { backend: Backend::Off, health: Arc::default(), prefix: "".into() }
    }

    /// The server; `None` in memory.
    pub fn address(&self) -> Option<&Address> {
        match &self.backend {
            Backend::Redis(supervisor) => Some(supervisor.address()),
            Backend::Memory(_) | Backend::Off => None,
        }
    }

    /// The same server and health on a connection of its own, which the calling runtime
    /// drives.
    pub fn reopened(&self) -> Self {
        match &self.backend {
            Backend::Redis(supervisor) => {
                Self::open(supervisor.address(), &self.prefix, &self.health)
            }
            Backend::Memory(_) | Backend::Off => self.clone(),
        }
    }

    /// Starts a command on `key`.
    pub fn on<T>(&self, verb: &'static str, key: &Key<T>) -> Command {
        Command::new(verb).key(&self.prefix, key.as_str())
    }

    /// Starts a script call on `key`. The trace shows the script's first line, a
    /// comment.
    pub fn script<T>(&self, script: &'static Script, key: &Key<T>) -> Command {
        Command::script(script, &[self.full_key(key)])
    }

    /// Starts a script call on several keys, given in full.
    pub fn script_on(&self, script: &'static Script, keys: &[impl ToRedisArgs]) -> Command {
        Command::script(script, keys)
    }

    /// Starts a command without a key.
    pub fn command(&self, verb: &'static str) -> Command {
        Command::new(verb)
    }

    /// Starts a command from raw arguments, verb first. No prefix is added.
    pub fn raw_command<W: ToRedisArgs>(&self, args: &[W]) -> Command {
        Command::raw(args)
    }

    /// The key as stored in Redis: prefix and name.
    pub fn full_key<T>(&self, key: &Key<T>) -> String {
        [&self.prefix, key.as_str()].concat()
    }

    /// The prefix of every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A glob pattern for the keys whose names match `names` below the prefix, which is
    /// taken literally.
    pub(crate) fn key_pattern(&self, names: &str) -> String {
        let mut pattern = String::with_capacity(self.prefix.len() + names.len());
        for c in self.prefix.chars() {
            pattern.extend(matches!(c, '*' | '?' | '[' | ']' | '\\').then_some('\\'));
            pattern.push(c);
        }
        pattern + names
    }

    /// Whether Redis is unavailable: the breaker of some connection is not closed.
    pub fn is_unavailable(&self) -> bool {
        !self.health.is_closed()
    }

    /// Microseconds since 1970 by Redis's clock, estimated without a round trip.
    pub fn now(&self) -> u64 {
        self.health.clock.now()
    }

    /// The error bound of [`Self::now`], in either direction.
    pub fn clock_error(&self) -> Duration {
        self.health.clock.error()
    }

    /// A time that Redis's clock has certainly passed, in microseconds since 1970.
    pub fn time_lower_bound(&self) -> u64 {
        match &self.backend {
            Backend::Redis(_) => self.health.clock.lower_bound(),
            Backend::Memory(_) | Backend::Off => self.now(),
        }
    }

    /// The health of all connections of this process.
    pub fn health(&self) -> &Arc<HealthMonitor> {
        &self.health
    }

    /// Sends one command and waits for its reply, within the deadline.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unavailable, times out or replies with
    /// an error, or if the reply is not a `T`.
    #[expect(clippy::manual_async_fn, reason = "an async fn would store the command twice")]
    pub fn run<T: FromRedisValue>(
        &self,
        command: Command,
        trace: &Trace,
    ) -> impl Future<Output = Result<T, RedisError>> + Send {
        async move {
            let mut reply = self.send_one(&command.cmd).await;
            if reply.value.as_ref().is_ok_and(is_noscript)
                && let Some(eval) = command.eval_fallback()
            {
                reply = Box::pin(self.send_one(&eval)).await;
            }
            let Reply { value, sent, took } = reply;
            let value = value.and_then(check_error);
            self.record_outcome(&command.verb(), command.script, &value);
            trace.record(RoundTrip::to_redis(sent, took), || {
                [(command.text(), traced_reply(&value))]
            });
            value.and_then(typed)
        }
    }

    /// Sends several commands in one round trip. Each has its own result.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the commands has a reply.
    pub async fn run_all<const N: usize>(
        &self,
        commands: [Command; N],
        trace: &Trace,
    ) -> Result<[Result<Value, RedisError>; N], RedisError> {
        let mut replies = self.run_list(commands, trace).await?.into_iter();
        Ok(std::array::from_fn(|_| replies.next().unwrap_or(Err(RedisError::ConnectionLost))))
    }

    /// As [`Self::run_all`], for any number of commands.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the commands has a reply.
    pub async fn run_list(
        &self,
        commands: impl IntoIterator<Item = Command>,
        trace: &Trace,
    ) -> Result<BatchReplies, RedisError> {
        let batch = Batch::of(commands, trace.is_enabled());
        let sent = Instant::now();
        let (error, replies) = match self.send(&batch, supervisor::DEADLINE).await {
            Ok(replies) => (None, check_each(replies)),
            Err(error) => (Some(error.clone()), vec![Err(error); batch.verbs.len()]),
        };
        for ((verb, script), reply) in batch.verbs.iter().zip(&batch.scripts).zip(&replies) {
            self.record_outcome(verb, *script, reply);
        }
        trace.record(round_trip(sent), || {
            let texts = batch.texts.into_iter().zip(&replies);
            texts.map(|(text, reply)| (text, traced_reply(reply))).collect::<Vec<_>>()
        });
        error.map_or(Ok(replies), Err)
    }

    /// Sends many commands in one round trip, with the deadline for bulk work.
    ///
    /// # Errors
    /// Returns the first error among the replies.
    pub async fn run_many(&self, commands: Vec<Command>) -> Result<Vec<Value>, RedisError> {
        self.run_each(commands).await?.into_iter().collect()
    }

    /// As [`Self::run_many`], but each command has its own result.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the commands has a reply.
    pub async fn run_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.send(&Batch::of(commands, false), supervisor::BULK_DEADLINE).await.map(check_each)
    }

    /// Sends several commands in one round trip, within the deadline of a single
    /// one. Each has its own result; a denied one does not affect the health
    /// status.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the commands has a reply.
    pub async fn try_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.send(&Batch::of(commands, false), supervisor::DEADLINE).await.map(check_each)
    }

    /// Sends commands that a visitor chose, in one round trip. Error replies are
    /// passed on in Redis's words.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if none of the commands has a reply.
    pub async fn pipeline_raw(
        &self,
        commands: Vec<Command>,
        trace: &Trace,
    ) -> Result<Vec<Result<Value, Refusal>>, RedisError> {
        let (batch, sent) = (Batch::of(commands, trace.is_enabled()), Instant::now());
        let replies = self.send(&batch, supervisor::DEADLINE).await;
        let replies = replies.map(|it| it.into_iter().map(reply::or_refusal).collect::<Vec<_>>());
        for (n, verb) in batch.verbs.iter().enumerate() {
            self.record_outcome(verb, batch.scripts[n], &reply::outcome_at(&replies, n));
        }
        trace.record(round_trip(sent), || {
            let texts = batch.texts.into_iter().enumerate();
            texts.map(|(n, command)| (command, reply::text_at(&replies, n))).collect::<Vec<_>>()
        });
        replies
    }

    pub(super) async fn send_one(&self, cmd: &Cmd) -> Reply {
        match &self.backend {
            Backend::Redis(supervisor) => supervisor::send(supervisor, cmd).await,
            Backend::Memory(server) => Reply::here(|| server.execute(cmd, self.now())),
            Backend::Off => Reply::here(|| reply_without_storing(cmd)),
        }
    }

    async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        deadline: Duration,
    ) -> Result<Vec<Value>, RedisError> {
        match &self.backend {
            Backend::Redis(supervisor) => {
                supervisor::send_all(supervisor, pipeline, deadline).await
            }
            Backend::Memory(server) => {
                Ok(pipeline.cmd_iter().map(|cmd| server.execute(cmd, self.now())).collect())
            }
            Backend::Off => Ok(pipeline.cmd_iter().map(reply_without_storing).collect()),
        }
    }

    /// One round trip, and a second one for scripts that Redis does not have: those
    /// did nothing in the first. An error of the second applies to them only.
    async fn send(&self, batch: &Batch, deadline: Duration) -> Result<BatchReplies, RedisError> {
        let replies = self.send_pipeline(&batch.pipeline, deadline).await?;
        let Some(retry) = batch.retry(&replies) else {
            return Ok(replies.into_iter().map(Ok).collect());
        };
        let sending = self.send_pipeline(&retry.pipeline, deadline);
        let again = Box::pin(sending).await;
        Ok(retry.merge(replies, again))
    }

    /// Runs an invalidation of `key`. If it fails, it is deferred: this process
    /// does not use the key until it has run. Of several with a `rank` the highest
    /// is kept, and of those without one the latest.
    ///
    /// # Errors
    /// Returns a [`DeferError`] that says whether the invalidation is deferred.
    pub async fn run_or_defer<T, R: FromRedisValue>(
        &self,
        key: &Key<T>,
        command: Command,
        rank: Option<u64>,
        trace: &Trace,
    ) -> Result<R, DeferError> {
        let invalidation = DeferredInvalidation::of(&command, rank);
        let outcome = self.run(command, trace).await;
        match outcome {
            Err(error) if !self.health.deferred.defer(self.full_key(key), invalidation) => {
                Err(DeferError::LimitReached(error))
            }
            outcome => outcome.map_err(DeferError::Deferred),
        }
    }

    /// Defers an invalidation that must run before `key` is used again. Returns
    /// false if too many keys have one.
    pub fn defer<T>(&self, key: &Key<T>, command: Command, rank: u64) -> bool {
        self.health
            .deferred
            .defer(self.full_key(key), DeferredInvalidation::of(&command, Some(rank)))
    }

    /// As [`Self::defer`], without a limit: for the few keys that stand for many
    /// others.
    pub fn defer_unbounded<T>(&self, key: &Key<T>, command: Command) {
        self.health
            .deferred
            .defer_unbounded(self.full_key(key), DeferredInvalidation::of(&command, None));
    }

    /// Checks that Redis replies within the deadline, if only with an error.
    ///
    /// # Errors
    /// Returns the [`RedisError`] of the connection.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let pong: Result<Value, _> = self.run(self.command("PING"), &Trace::disabled()).await;
        match pong {
            Err(error) if error.is_about_the_connection() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether any invalidation is deferred.
    pub fn has_deferred(&self) -> bool {
        self.health.deferred.any()
    }

    /// Whether an invalidation of `key` is deferred, so that its copy in Redis may
    /// be outdated.
    pub fn is_deferred<T>(&self, key: &Key<T>) -> bool {
        self.health.deferred.any() && self.health.deferred.has(&self.full_key(key))
    }

    /// The state of Redis as a whole.
    pub fn status(&self) -> RedisStatus {
        self.health.status()
    }

    /// Waits for the first connection, at most `timeout`.
    ///
    /// # Errors
    /// Returns the last [`RedisError`] when the time is up.
    pub async fn ready(&self, timeout: Duration) -> Result<(), RedisError> {
        let Backend::Redis(supervisor) = &self.backend else { return Ok(()) };
        let end = Instant::now() + timeout;
        loop {
            match supervisor.connection().await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn record_outcome(
        &self,
        verb: &str,
        script: Option<&'static Script>,
        reply: &Result<Value, RedisError>,
    ) {
        let proves = |value| script.map_or(proves_writing(verb), |it| it.has_stored(value));
        match reply {
            Err(error) => self.health.record_error(verb, error),
            Ok(value) if self.health.has_refused_writes() && proves(value) => {
                self.health.record_write();
            }
            Ok(_) => (),
        }
        if reply.is_ok() && self.health.has_denied() {
            self.health.record_allowed(verb);
        }
    }
}

/// Turns error replies into errors.
fn check_each(replies: BatchReplies) -> BatchReplies {
    replies.into_iter().map(|reply| reply.and_then(check_error)).collect()
}

fn round_trip(sent: Instant) -> RoundTrip {
    RoundTrip::to_redis(sent, sent.elapsed())
}
