//! The one door to Redis: commands go out here, replies and troubles come back.
//!
//! Each worker thread has one multiplexed connection: no lock and no pool stands
//! between requests, and the driver runs on the thread that waits for it. [`supervisor`]
//! keeps it connected; redis-rs's `ConnectionManager` would make a request wait for
//! the reconnect, and does not reconnect after a timeout. redis-rs carries every
//! command; what is ours is what it does not offer: a supervisor, deadlines, a
//! breaker, deferred invalidations, and Redis's clock.

mod address;
mod breaker;
mod clock;
mod connection;
mod dedicated;
mod deferred;
mod delay_proxy;
mod error;
mod health;
mod info;
mod subscription;
mod supervisor;
mod text;
mod tracking;

use std::{
    borrow::Cow,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Arg, Cmd, Pipeline, RedisWrite, ToRedisArgs};
pub use redis::{FromRedisValue, Value};
use tokio::time::sleep;

pub use self::{
    address::{Address, BadAddress},
    breaker::BreakerState,
    dedicated::{Answers, BlockingCall, Call},
    error::Trouble,
    health::{Condition, Health},
    info::{KeyCount, ServerInfo},
    subscription::Subscription,
    tracking::{Invalidations, track},
};
use self::{
    connection::{Reply, parts},
    deferred::Debt,
    supervisor::Link,
};
use crate::{
    Key,
    trace::{Trip, Wire},
};

/// Room for the words of most commands, and for their bytes.
const ARGS: usize = 4;
const DATA: usize = 96;

/// A handle to Redis. Cloning it is cheap and opens no connection; opening
/// another one does, and each web worker has its own.
#[derive(Clone)]
pub struct Store {
    link: Arc<Link>,
    health: Arc<Health>,
    prefix: Arc<str>,
}

/// A command in the making: verb, key, arguments.
pub struct Command {
    cmd: Cmd,
    verb: Cow<'static, str>,
    kind: Kind,
}

/// Why a command that takes something back did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    /// Redis could not be told now, and will be.
    Owed(Trouble),
    /// Redis could not be told now, and too many wait already to remember it.
    Unremembered,
}

/// What Redis says when it refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Refusal {
    /// Its own words, for someone who typed the command: they may name keys.
    pub words: String,
    /// The same, as anything else sees it.
    pub trouble: Trouble,
}

/// What the success of a command says about writing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reads,
    /// Needs memory and the right to write: its success says that both are there.
    Writes,
    /// Gives memory back: a full Redis takes it, too.
    Removes,
}

impl Command {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.cmd.arg(argument);
        self
    }

    fn verb(&self) -> Cow<'static, str> {
        self.verb.clone()
    }
}

impl Store {
    /// Starts connecting in the background, on the calling runtime.
    pub fn open(address: &Address, prefix: &str, health: &Arc<Health>) -> Self {
        let link = Link::open(address, Arc::clone(health));
        Self { link, health: Arc::clone(health), prefix: prefix.into() }
    }

    /// Starts a command that only reads `key`.
    pub fn read<T>(&self, verb: &'static str, key: &Key<T>) -> Command {
        self.on(verb, key, Kind::Reads)
    }

    /// Starts a command that changes `key`.
    pub fn write<T>(&self, verb: &'static str, key: &Key<T>) -> Command {
        self.on(verb, key, Kind::Writes)
    }

    /// Starts a command that removes `key` or changes when it ends.
    pub fn remove<T>(&self, verb: &'static str, key: &Key<T>) -> Command {
        self.on(verb, key, Kind::Removes)
    }

    /// Starts a script that stores something under `key`. The wire shows its
    /// first line, a comment.
    pub fn script<T>(&self, text: &str, key: &Key<T>) -> Command {
        self.eval(text, &[self.name(key)], Kind::Writes)
    }

    /// Starts a script that stores something under both keys.
    pub fn script_on_two<T, U>(&self, text: &str, key: &Key<T>, other: &Key<U>) -> Command {
        self.eval(text, &[self.name(key), self.name(other)], Kind::Writes)
    }

    /// Starts a script that may find nothing to do.
    pub fn removing_script<T>(&self, text: &str, key: &Key<T>) -> Command {
        self.eval(text, &[self.name(key)], Kind::Removes)
    }

    /// The same, for a key by its whole name, as SCAN tells it.
    pub fn removing_script_on(&self, text: &str, name: &str) -> Command {
        self.eval(text, &[name.to_owned()], Kind::Removes)
    }

    /// Starts a script on several keys, by their whole names.
    pub fn script_on_all(&self, text: &str, names: &[String]) -> Command {
        self.eval(text, names, Kind::Writes)
    }

    /// The same, of one that may find nothing to do.
    pub fn removing_script_on_all(&self, text: &str, names: &[String]) -> Command {
        self.eval(text, names, Kind::Removes)
    }

    fn eval(&self, text: &str, names: &[String], kind: Kind) -> Command {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(text).arg(names.len()).arg(names);
        Command { cmd, verb: "EVAL".into(), kind }
    }

    /// Starts a command whose first argument is no key.
    pub fn command(&self, verb: &'static str) -> Command {
        Command { cmd: redis::cmd(verb), verb: verb.into(), kind: Kind::Reads }
    }

    /// Starts a command of any words, verb first.
    pub fn words<W: ToRedisArgs>(&self, words: &[W]) -> Command {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        let verb = match cmd.args_iter().next() {
            Some(Arg::Simple(verb)) => String::from_utf8_lossy(verb).into_owned(),
            _ => String::new(),
        };
        Command { cmd, verb: verb.into(), kind: Kind::Reads }
    }

    fn on<T>(&self, verb: &'static str, key: &Key<T>, kind: Kind) -> Command {
        let mut cmd = Cmd::with_capacity(ARGS, DATA);
        cmd.arg(verb).arg(Named { prefix: &self.prefix, key: key.as_str() });
        Command { cmd, verb: verb.into(), kind }
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
        wire: &Wire,
    ) -> impl Future<Output = Result<T, Trouble>> + Send {
        async move {
            let Reply { value, sent, took } = supervisor::send(&self.link, &command.cmd).await;
            self.note(command.kind, &command.verb, &value);
            wire.record(Trip::to_redis(sent, took), || {
                [(text::command(&command.cmd), text::reply(&value))]
            });
            value.and_then(typed)
        }
    }

    /// Sends several commands in one round trip. Each has a reply of its own;
    /// the outer error means that none has.
    pub async fn run_all<const N: usize>(
        &self,
        commands: [Command; N],
        wire: &Wire,
    ) -> Result<[Result<Value, Trouble>; N], Trouble> {
        let (kinds, told) = (commands.each_ref().map(|it| it.kind), told(&commands, wire));
        let verbs = commands.each_ref().map(Command::verb);
        let sent = Instant::now();
        let replies =
            supervisor::send_all(&self.link, &piped(commands), supervisor::DEADLINE).await;
        let (outcome, mut replies) = match replies {
            Ok(replies) => (Ok(()), replies.into_iter()),
            Err(trouble) => (Err(trouble.clone()), vec![Err(trouble); N].into_iter()),
        };
        let each: [_; N] = std::array::from_fn(|_| replies.next().unwrap_or(Err(Trouble::Lost)));
        for ((kind, verb), reply) in kinds.into_iter().zip(&verbs).zip(&each) {
            self.note(kind, verb, reply);
        }
        if !wire.is_on() {
            return outcome.map(|()| each);
        }
        wire.record(trip(sent), || {
            told.into_iter().zip(&each).map(|(said, reply)| (said, text::reply(reply)))
        });
        outcome.map(|()| each)
    }

    /// Sends many commands in one round trip, for bulk work. Returns their
    /// replies, or the first trouble among them.
    pub async fn run_many(&self, commands: Vec<Command>) -> Result<Vec<Value>, Trouble> {
        self.run_each(commands).await?.into_iter().collect()
    }

    /// The same; each has a reply of its own.
    pub async fn run_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        self.send_each(commands, supervisor::BULK_DEADLINE).await
    }

    /// A few commands for a visitor who waits, in one round trip; each has a reply
    /// of its own, and one that is denied is no news about hitrate's rights.
    pub async fn try_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        self.send_each(commands, supervisor::DEADLINE).await
    }

    async fn send_each(
        &self,
        commands: Vec<Command>,
        deadline: Duration,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        supervisor::send_all(&self.link, &piped(commands), deadline).await
    }

    /// Sends commands that a visitor chose, in one round trip. What Redis says
    /// of each is passed on as it is; the outer error means that it said nothing.
    pub async fn ask(
        &self,
        commands: Vec<Command>,
        wire: &Wire,
    ) -> Result<Vec<Result<Value, Refusal>>, Trouble> {
        let (told, sent) = (told(&commands, wire), Instant::now());
        let verbs: Vec<_> = commands.iter().map(|it| (it.kind, it.verb())).collect();
        let replies =
            supervisor::send_raw(&self.link, &piped(commands), supervisor::DEADLINE).await;
        let replies = replies.map(|it| it.into_iter().map(answered).collect::<Vec<_>>());
        for (n, (kind, verb)) in verbs.into_iter().enumerate() {
            self.note(kind, &verb, &said(&replies, n));
        }
        wire.record(trip(sent), || {
            let told = told.into_iter().enumerate();
            told.map(|(n, command)| (command, shown(&replies, n)))
        });
        replies
    }

    /// Runs a command that takes something back. When Redis can't be told now,
    /// the command is remembered: nobody here uses the key before it has run.
    /// Of several with a `rank` the highest is; one without has a place of its own.
    pub async fn settle<T, R: FromRedisValue>(
        &self,
        key: &Key<T>,
        command: Command,
        rank: Option<u64>,
        wire: &Wire,
    ) -> Result<R, Unsettled> {
        let debt = Debt::new(command.cmd.clone(), rank);
        let outcome = self.run(command, wire).await;
        match outcome {
            Err(_) if !self.health.debts.owe(self.name(key), debt) => Err(Unsettled::Unremembered),
            outcome => outcome.map_err(Unsettled::Owed),
        }
    }

    /// Remembers a command that must run before `key` is used again. False
    /// when there are too many to remember.
    pub fn owe_later<T>(&self, key: &Key<T>, command: Command, rank: u64) -> bool {
        self.health.debts.owe(self.name(key), Debt::new(command.cmd, Some(rank)))
    }

    /// The same, however many there are: for the few keys that stand for many.
    pub fn owe_surely<T>(&self, key: &Key<T>, command: Command) {
        self.health.debts.owe_surely(self.name(key), Debt::new(command.cmd, None));
    }

    /// Whether Redis answers at all, within a command's deadline.
    pub async fn answers(&self) -> Result<(), Trouble> {
        let pong: Result<Value, _> = self.run(self.command("PING"), &Wire::off()).await;
        match pong {
            Err(trouble) if trouble.is_about_the_connection() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Whether anything is known to be outdated in Redis.
    pub fn owes_any(&self) -> bool {
        self.health.debts.any()
    }

    /// Whether what Redis holds under `key` is known to be outdated.
    pub fn owes<T>(&self, key: &Key<T>) -> bool {
        self.health.debts.any() && self.health.debts.has(&self.name(key))
    }

    /// What works at the moment.
    pub fn condition(&self) -> Condition {
        self.health.condition()
    }

    /// Waits for the first connection, at most `patience`.
    pub async fn ready(&self, patience: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + patience;
        loop {
            match self.link.connection().await {
                Ok(_) => return Ok(()),
                Err(trouble) if Instant::now() >= end => return Err(trouble),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn note(&self, kind: Kind, verb: &str, reply: &Result<Value, Trouble>) {
        match reply {
            Err(trouble) => self.health.failed(verb, trouble),
            Ok(_) if kind == Kind::Writes => self.health.wrote(),
            Ok(_) => (),
        }
        if reply.is_ok() && self.health.is_denied() {
            self.health.allowed(verb);
        }
    }
}

/// A key as Redis knows it, written into a command without a text in between.
struct Named<'a> {
    prefix: &'a str,
    key: &'a str,
}

impl ToRedisArgs for Named<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        for part in [self.prefix, self.key] {
            argument.write_all(part.as_bytes()).expect("writing to memory does not fail");
        }
    }
}

/// Commands as one round trip.
fn piped(commands: impl IntoIterator<Item = Command>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command.cmd);
    }
    pipeline
}

type Replies = Result<Vec<Result<Value, Refusal>>, Trouble>;

fn answered(value: Value) -> Result<Value, Refusal> {
    match value {
        Value::ServerError(error) => {
            let words = [error.code(), error.details().unwrap_or_default()].join(" ");
            let trouble = Trouble::from_code(Some(error.code()));
            Err(Refusal { words: words.trim_end().to_owned(), trouble })
        }
        value => Ok(value),
    }
}

/// The reply of one of several commands, as health is told of it.
fn said(replies: &Replies, n: usize) -> Result<Value, Trouble> {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(_) => Ok(Value::Nil),
            Err(refusal) => Err(refusal.trouble.clone()),
        },
        Err(trouble) => Err(trouble.clone()),
    }
}

/// The same, as the wire shows it.
fn shown(replies: &Replies, n: usize) -> String {
    match replies {
        Ok(replies) => match &replies[n] {
            Ok(value) => text::shown(value),
            Err(refusal) => format!("(error) {refusal}"),
        },
        Err(trouble) => format!("(error) {trouble}"),
    }
}

/// The commands as the wire shows them, if anyone is recording.
fn told(commands: &[Command], wire: &Wire) -> Vec<String> {
    match wire.is_on() {
        true => commands.iter().map(|command| text::command(&command.cmd)).collect(),
        false => Vec::new(),
    }
}

fn trip(sent: Instant) -> Trip {
    Trip::to_redis(sent, sent.elapsed())
}

/// A reply as the type that the caller expects.
pub fn typed<T: FromRedisValue>(value: Value) -> Result<T, Trouble> {
    redis::from_redis_value(value).map_err(|_| Trouble::Other("another type of reply".to_owned()))
}
