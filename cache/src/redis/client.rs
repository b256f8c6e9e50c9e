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
        script::is_unknown,
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
    Owed(RedisError),
    /// Redis could not be told now, and too many wait already to remember it.
    Unremembered,
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
        Command::calling(script, &[self.name(key)])
    }

    /// Starts a call of a script on several keys, by their whole names.
    pub fn script_on(&self, script: &'static Script, names: &[impl ToRedisArgs]) -> Command {
        Command::calling(script, names)
    }

    /// Starts a command whose first argument is no key.
    pub fn command(&self, verb: &'static str) -> Command {
        Command::new(verb)
    }

    /// Starts a command of any words, verb first.
    pub fn words<W: ToRedisArgs>(&self, words: &[W]) -> Command {
        Command::of(words)
    }

    /// The key as Redis knows it, prefix and all.
    pub fn name<T>(&self, key: &Key<T>) -> String {
        [&self.prefix, key.as_str()].concat()
    }

    /// Put before every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether nothing can be asked of Redis at the moment.
    pub fn is_away(&self) -> bool {
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
            if reply.value.as_ref().is_ok_and(is_unknown)
                && let Some(call) = command.by_text()
            {
                reply = Box::pin(supervisor::send(&self.supervisor, &call)).await;
            }
            let Reply { value, sent, took } = reply;
            let value = value.and_then(check_error);
            self.note(&command.verb(), command.script, &value);
            trace.record(RoundTrip::to_redis(sent, took), || {
                [(command.shown(), traced_reply(&value))]
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
        let asked = Asked::of(commands, trace.is_enabled());
        let sent = Instant::now();
        let replies = self.send(&asked, supervisor::DEADLINE).await;
        let (outcome, mut replies) = match replies {
            Ok(replies) => (Ok(()), each(replies)),
            Err(error) => (Err(error.clone()), vec![Err(error); N]),
        };
        for ((verb, script), reply) in asked.verbs.iter().zip(&asked.scripts).zip(&replies) {
            self.note(verb, *script, reply);
        }
        trace.record(trip(sent), || {
            let told = asked.told.into_iter().zip(&replies);
            told.map(|(said, reply)| (said, traced_reply(reply))).collect::<Vec<_>>()
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
        self.send(&Asked::of(commands, false), supervisor::BULK_DEADLINE).await.map(each)
    }

    /// A few commands for a visitor who waits, in one round trip; each has a reply
    /// of its own, and one that is denied is no news about hitrate's rights.
    pub async fn try_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.send(&Asked::of(commands, false), supervisor::DEADLINE).await.map(each)
    }

    /// Sends commands that a visitor chose, in one round trip. What Redis says
    /// of each is passed on as it is; the outer error means that it said nothing.
    pub async fn ask(
        &self,
        commands: Vec<Command>,
        trace: &Trace,
    ) -> Result<Vec<Result<Value, Refusal>>, RedisError> {
        let (asked, sent) = (Asked::of(commands, trace.is_enabled()), Instant::now());
        let replies = self.send(&asked, supervisor::DEADLINE).await;
        let replies = replies.map(|it| it.into_iter().map(reply::of).collect::<Vec<_>>());
        for (n, verb) in asked.verbs.iter().enumerate() {
            self.note(verb, asked.scripts[n], &reply::said(&replies, n));
        }
        trace.record(trip(sent), || {
            let told = asked.told.into_iter().enumerate();
            told.map(|(n, command)| (command, reply::shown(&replies, n))).collect::<Vec<_>>()
        });
        replies
    }

    /// One round trip, and a second for scripts that Redis does not know: those
    /// did nothing in the first. Only they have the error of the second.
    async fn send(&self, asked: &Asked, deadline: Duration) -> Result<Replies, RedisError> {
        let replies = supervisor::send_all(&self.supervisor, &asked.pipeline, deadline).await?;
        let mut replies: Replies = replies.into_iter().map(Ok).collect();
        let is_unknown = |n: &usize| replies[*n].as_ref().is_ok_and(is_unknown);
        let scripts = (0..replies.len()).filter(|n| asked.scripts[*n].is_some());
        let unknown: Vec<_> = scripts.filter(is_unknown).collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let again = asked.by_text(&unknown);
        let texts = Box::pin(supervisor::send_all(&self.supervisor, &again, deadline)).await;
        for (n, call) in unknown.into_iter().enumerate() {
            replies[call] = match &texts {
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
            Err(_) if !self.health.deferred.defer(self.name(key), invalidation) => {
                Err(DeferError::Unremembered)
            }
            outcome => outcome.map_err(DeferError::Owed),
        }
    }

    /// Remembers a command that must run before `key` is used again. False
    /// when there are too many to remember.
    pub fn defer<T>(&self, key: &Key<T>, command: Command, rank: u64) -> bool {
        self.health.deferred.defer(self.name(key), DeferredInvalidation::of(&command, Some(rank)))
    }

    /// The same, however many there are: for the few keys that stand for many.
    pub fn defer_unbounded<T>(&self, key: &Key<T>, command: Command) {
        self.health
            .deferred
            .defer_unbounded(self.name(key), DeferredInvalidation::of(&command, None));
    }

    /// Whether Redis answers at all, within a command's deadline.
    pub async fn answers(&self) -> Result<(), RedisError> {
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
        self.health.deferred.any() && self.health.deferred.has(&self.name(key))
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

    fn note(&self, verb: &str, script: Option<&'static Script>, reply: &Result<Value, RedisError>) {
        let proves = |value| script.map_or(proves_writing(verb), |it| it.has_stored(value));
        match reply {
            Err(error) => self.health.failed(verb, error),
            Ok(value) if proves(value) => self.health.wrote(),
            Ok(_) => (),
        }
        if reply.is_ok() && self.health.is_denied() {
            self.health.allowed(verb);
        }
    }
}

/// Commands that go out together, and what is needed of them afterwards.
struct Asked {
    pipeline: Pipeline,
    verbs: Vec<Cow<'static, str>>,
    scripts: Vec<Option<&'static Script>>,
    /// As the trace shows them; none where nobody records.
    told: Vec<String>,
}

impl Asked {
    fn of(commands: impl IntoIterator<Item = Command>, is_recorded: bool) -> Self {
        let (verbs, scripts, told) = (Vec::new(), Vec::new(), Vec::new());
        let mut asked = Self { pipeline: Pipeline::new(), verbs, scripts, told };
        for command in commands {
            if is_recorded {
                asked.told.push(command.shown());
            }
            asked.verbs.push(command.verb());
            asked.scripts.push(command.script);
            asked.pipeline.add_command(command.cmd);
        }
        asked
    }

    /// These of them again, scripts by their text.
    fn by_text(&self, which: &[usize]) -> Pipeline {
        let mut again = Pipeline::new();
        for (n, call) in self.pipeline.cmd_iter().enumerate() {
            if let (true, Some(script)) = (which.contains(&n), self.scripts[n]) {
                again.add_command(script.by_text(call));
            }
        }
        again
    }
}

/// What Redis answered to each; an error where it answered nothing.
type Replies = Vec<Result<Value, RedisError>>;

/// Refusals as errors, too.
fn each(replies: Replies) -> Replies {
    replies.into_iter().map(|reply| reply.and_then(check_error)).collect()
}

fn trip(sent: Instant) -> RoundTrip {
    RoundTrip::to_redis(sent, sent.elapsed())
}
