//! The handle to Redis that everything else holds: it makes commands and sends
//! them, alone or together, and tells health and trace how that went.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Pipeline, ToRedisArgs};
use tokio::time::sleep;

use crate::{
    Key,
    redis::{
        Address, Command, FromRedisValue, Health, HealthStatus, RedisError, Refusal, Script, Value,
        command::proves_writing,
        connection::{Reply, check_error},
        deferred::DeferredInvalidation,
        notation::traced_reply,
        reply::{self, typed},
        script::is_noscript,
        supervisor::{self, Supervisor},
    },
    trace::{RoundTrip, Trace},
};

/// A handle to Redis. Cloning it is cheap and opens no connection; opening
/// another one does, and each web worker has its own.
#[derive(Clone)]
pub struct Store {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) health: Arc<Health>,
    pub(super) prefix: Arc<str>,
}

/// Why a command that takes something back did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeferError {
    /// Redis could not be told now, and will be.
    Deferred(RedisError),
    /// Redis could not be told now, and too many wait already to remember it.
    LimitReached,
}

impl Store {
    /// Starts connecting in the background, on the calling runtime.
    pub fn open(address: &Address, prefix: &str, health: &Arc<Health>) -> Self {
        let supervisor = Supervisor::open(address, Arc::clone(health));
        Self { supervisor, health: Arc::clone(health), prefix: prefix.into() }
    }

    /// Starts a command whose first argument is `key`.
    pub fn on<T>(&self, verb: &'static str, key: &Key<T>) -> Command {
        Command::new(verb).key(&self.prefix, key.as_str())
    }

    /// Starts a call of a script on `key`. The trace shows the script's first
    /// line, a comment.
    pub fn script<T>(&self, script: &'static Script, key: &Key<T>) -> Command {
        Command::script(script, &[self.full_key(key)])
    }

    /// Starts a call of a script on several keys, by their whole names.
    pub fn script_on(&self, script: &'static Script, names: &[impl ToRedisArgs]) -> Command {
        Command::script(script, names)
    }

    /// Starts a command whose first argument is no key.
    pub fn command(&self, verb: &'static str) -> Command {
        Command::new(verb)
    }

    /// Starts a command of any words, verb first.
    pub fn raw_command<W: ToRedisArgs>(&self, args: &[W]) -> Command {
        Command::raw(args)
    }

    /// The key as Redis knows it, prefix and all.
    pub fn full_key<T>(&self, key: &Key<T>) -> String {
        [&self.prefix, key.as_str()].concat()
    }

    /// Put before every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether nothing can be asked of Redis at the moment.
    pub fn is_unavailable(&self) -> bool {
        !self.health.is_closed()
    }

    /// Microseconds since 1970 by Redis's own clock, without asking it.
    pub fn now(&self) -> u64 {
        self.health.clock.now()
    }

    /// How far off that may be, either way.
    pub fn clock_error(&self) -> Duration {
        self.health.clock.error()
    }

    /// How all connections are doing together.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Sends one command and waits for its reply, within the deadline.
    #[expect(clippy::manual_async_fn, reason = "it holds the command once, an async fn twice")]
    pub fn run<T: FromRedisValue>(
        &self,
        command: Command,
        trace: &Trace,
    ) -> impl Future<Output = Result<T, RedisError>> + Send {
        async move {
            let mut reply = supervisor::send(&self.supervisor, &command.cmd).await;
            if reply.value.as_ref().is_ok_and(is_noscript)
                && let Some(eval) = command.eval_fallback()
            {
                reply = Box::pin(supervisor::send(&self.supervisor, &eval)).await;
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

    /// Sends several commands in one round trip. Each has a reply of its own;
    /// the outer error means that none has.
    pub async fn run_all<const N: usize>(
        &self,
        commands: [Command; N],
        trace: &Trace,
    ) -> Result<[Result<Value, RedisError>; N], RedisError> {
        let batch = Batch::of(commands, trace.is_enabled());
        let sent = Instant::now();
        let replies = self.send(&batch, supervisor::DEADLINE).await;
        let (outcome, mut replies) = match replies {
            Ok(replies) => (Ok(()), check_each(replies)),
            Err(error) => (Err(error.clone()), vec![Err(error); N]),
        };
        for ((verb, script), reply) in batch.verbs.iter().zip(&batch.scripts).zip(&replies) {
            self.record_outcome(verb, *script, reply);
        }
        trace.record(round_trip(sent), || {
            let texts = batch.texts.into_iter().zip(&replies);
            texts.map(|(text, reply)| (text, traced_reply(reply))).collect::<Vec<_>>()
        });
        let mut replies = replies.drain(..);
        outcome.map(|()| {
            std::array::from_fn(|_| replies.next().unwrap_or(Err(RedisError::ConnectionLost)))
        })
    }

    /// Sends many commands in one round trip, for bulk work. Returns their
    /// replies, or the first error among them.
    pub async fn run_many(&self, commands: Vec<Command>) -> Result<Vec<Value>, RedisError> {
        self.run_each(commands).await?.into_iter().collect()
    }

    /// The same; each has a reply of its own.
    pub async fn run_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.send(&Batch::of(commands, false), supervisor::BULK_DEADLINE).await.map(check_each)
    }

    /// A few commands for a visitor who waits, in one round trip; each has a reply
    /// of its own, and one that is denied is no news about hitrate's rights.
    pub async fn try_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.send(&Batch::of(commands, false), supervisor::DEADLINE).await.map(check_each)
    }

    /// Sends commands that a visitor chose, in one round trip. What Redis says
    /// of each is passed on as it is; the outer error means that it said nothing.
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

    /// One round trip, and a second for scripts that Redis does not know: those
    /// did nothing in the first. Only they have the error of the second.
    async fn send(&self, batch: &Batch, deadline: Duration) -> Result<Replies, RedisError> {
        let replies = supervisor::send_all(&self.supervisor, &batch.pipeline, deadline).await?;
        let mut replies: Replies = replies.into_iter().map(Ok).collect();
        let is_noscript = |n: &usize| replies[*n].as_ref().is_ok_and(is_noscript);
        let scripts = (0..replies.len()).filter(|n| batch.scripts[*n].is_some());
        let unknown: Vec<_> = scripts.filter(is_noscript).collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let retry = batch.eval_fallback(&unknown);
        let texts = Box::pin(supervisor::send_all(&self.supervisor, &retry, deadline)).await;
        for (n, index) in unknown.into_iter().enumerate() {
            replies[index] = match &texts {
                Ok(texts) => Ok(texts[n].clone()),
                Err(error) => Err(error.clone()),
            };
        }
        Ok(replies)
    }

    /// Runs a command that takes something back. When Redis can't be told now,
    /// the command is remembered: nobody here uses the key before it has run.
    /// Of several with a `rank` the highest is; one without has a place of its own.
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
            Err(_) if !self.health.deferred.defer(self.full_key(key), invalidation) => {
                Err(DeferError::LimitReached)
            }
            outcome => outcome.map_err(DeferError::Deferred),
        }
    }

    /// Remembers a command that must run before `key` is used again. False
    /// when there are too many to remember.
    pub fn defer<T>(&self, key: &Key<T>, command: Command, rank: u64) -> bool {
        self.health
            .deferred
            .defer(self.full_key(key), DeferredInvalidation::of(&command, Some(rank)))
    }

    /// The same, however many there are: for the few keys that stand for many.
    pub fn defer_unbounded<T>(&self, key: &Key<T>, command: Command) {
        self.health
            .deferred
            .defer_unbounded(self.full_key(key), DeferredInvalidation::of(&command, None));
    }

    /// Whether Redis answers at all, within a command's deadline.
    pub async fn ping(&self) -> Result<(), RedisError> {
        let pong: Result<Value, _> = self.run(self.command("PING"), &Trace::disabled()).await;
        match pong {
            Err(error) if error.is_about_the_connection() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether anything is known to be outdated in Redis.
    pub fn has_deferred(&self) -> bool {
        self.health.deferred.any()
    }

    /// Whether what Redis holds under `key` is known to be outdated.
    pub fn is_deferred<T>(&self, key: &Key<T>) -> bool {
        self.health.deferred.any() && self.health.deferred.has(&self.full_key(key))
    }

    /// What works at the moment.
    pub fn status(&self) -> HealthStatus {
        self.health.status()
    }

    /// Waits for the first connection, at most `timeout`.
    pub async fn ready(&self, timeout: Duration) -> Result<(), RedisError> {
        let end = Instant::now() + timeout;
        loop {
            match self.supervisor.connection().await {
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
            Ok(value) if proves(value) => self.health.record_write(),
            Ok(_) => (),
        }
        if reply.is_ok() && self.health.has_denied() {
            self.health.record_allowed(verb);
        }
    }
}

/// Commands that go out together, and what is needed of them afterwards.
struct Batch {
    pipeline: Pipeline,
    verbs: Vec<Cow<'static, str>>,
    scripts: Vec<Option<&'static Script>>,
    /// As the trace shows them; none where nobody records.
    texts: Vec<String>,
}

impl Batch {
    fn of(commands: impl IntoIterator<Item = Command>, is_recorded: bool) -> Self {
        let (verbs, scripts, texts) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = Self { pipeline: Pipeline::new(), verbs, scripts, texts };
        for command in commands {
            if is_recorded {
                batch.texts.push(command.text());
            }
            batch.verbs.push(command.verb());
            batch.scripts.push(command.script);
            batch.pipeline.add_command(command.cmd);
        }
        batch
    }

    /// These of them again, scripts by their text.
    fn eval_fallback(&self, indices: &[usize]) -> Pipeline {
        let mut retry = Pipeline::new();
        for (n, call) in self.pipeline.cmd_iter().enumerate() {
            if let (true, Some(script)) = (indices.contains(&n), self.scripts[n]) {
                retry.add_command(script.eval(call));
            }
        }
        retry
    }
}

/// What Redis answered to each; an error where it answered nothing.
type Replies = Vec<Result<Value, RedisError>>;

/// Refusals as errors, too.
fn check_each(replies: Replies) -> Replies {
    replies.into_iter().map(|reply| reply.and_then(check_error)).collect()
}

fn round_trip(sent: Instant) -> RoundTrip {
    RoundTrip::to_redis(sent, sent.elapsed())
}
