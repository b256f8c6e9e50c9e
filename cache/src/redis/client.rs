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
        Address, Command, Condition, FromRedisValue, Health, Refusal, Script, Trouble, Value,
        command::proves_writing,
        connection::{Reply, unwrapped},
        deferred::Debt,
        reply::{self, typed},
        script::is_unknown,
        supervisor::{self, Link},
        text,
    },
    trace::{Trip, Wire},
};

/// A handle to Redis. Cloning it is cheap and opens no connection; opening
/// another one does, and each web worker has its own.
#[derive(Clone)]
pub struct Store {
    pub(super) link: Arc<Link>,
    pub(super) health: Arc<Health>,
    pub(super) prefix: Arc<str>,
}

/// Why a command that takes something back did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    /// Redis could not be told now, and will be.
    Owed(Trouble),
    /// Redis could not be told now, and too many wait already to remember it.
    Unremembered,
}

impl Store {
    /// Starts connecting in the background, on the calling runtime.
    pub fn open(address: &Address, prefix: &str, health: &Arc<Health>) -> Self {
        let link = Link::open(address, Arc::clone(health));
        Self { link, health: Arc::clone(health), prefix: prefix.into() }
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
        wire: &Wire,
    ) -> impl Future<Output = Result<T, Trouble>> + Send {
        async move {
            let mut reply = supervisor::send(&self.link, &command.cmd).await;
            if reply.value.as_ref().is_ok_and(is_unknown)
                && let Some(call) = command.by_text()
            {
                reply = Box::pin(supervisor::send(&self.link, &call)).await;
            }
            let Reply { value, sent, took } = reply;
            let value = value.and_then(unwrapped);
            self.note(&command.verb(), command.script, &value);
            wire.record(Trip::to_redis(sent, took), || [(command.shown(), text::reply(&value))]);
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
        let asked = Asked::of(commands, wire.is_on());
        let sent = Instant::now();
        let replies = self.send(&asked, supervisor::DEADLINE).await;
        let (outcome, mut replies) = match replies {
            Ok(replies) => (Ok(()), each(replies)),
            Err(trouble) => (Err(trouble.clone()), vec![Err(trouble); N]),
        };
        for ((verb, script), reply) in asked.verbs.iter().zip(&asked.scripts).zip(&replies) {
            self.note(verb, *script, reply);
        }
        wire.record(trip(sent), || {
            let told = asked.told.into_iter().zip(&replies);
            told.map(|(said, reply)| (said, text::reply(reply))).collect::<Vec<_>>()
        });
        let mut replies = replies.drain(..);
        outcome.map(|()| std::array::from_fn(|_| replies.next().unwrap_or(Err(Trouble::Lost))))
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
        self.send(&Asked::of(commands, false), supervisor::BULK_DEADLINE).await.map(each)
    }

    /// A few commands for a visitor who waits, in one round trip; each has a reply
    /// of its own, and one that is denied is no news about hitrate's rights.
    pub async fn try_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
        self.send(&Asked::of(commands, false), supervisor::DEADLINE).await.map(each)
    }

    /// Sends commands that a visitor chose, in one round trip. What Redis says
    /// of each is passed on as it is; the outer error means that it said nothing.
    pub async fn ask(
        &self,
        commands: Vec<Command>,
        wire: &Wire,
    ) -> Result<Vec<Result<Value, Refusal>>, Trouble> {
        let (asked, sent) = (Asked::of(commands, wire.is_on()), Instant::now());
        let replies = self.send(&asked, supervisor::DEADLINE).await;
        let replies = replies.map(|it| it.into_iter().map(reply::of).collect::<Vec<_>>());
        for (n, verb) in asked.verbs.iter().enumerate() {
            self.note(verb, asked.scripts[n], &reply::said(&replies, n));
        }
        wire.record(trip(sent), || {
            let told = asked.told.into_iter().enumerate();
            told.map(|(n, command)| (command, reply::shown(&replies, n))).collect::<Vec<_>>()
        });
        replies
    }

    /// One round trip, and a second for scripts that Redis does not know: those
    /// did nothing in the first. Only they have the trouble of the second.
    async fn send(&self, asked: &Asked, deadline: Duration) -> Result<Replies, Trouble> {
        let replies = supervisor::send_all(&self.link, &asked.pipeline, deadline).await?;
        let mut replies: Replies = replies.into_iter().map(Ok).collect();
        let is_unknown = |n: &usize| replies[*n].as_ref().is_ok_and(is_unknown);
        let scripts = (0..replies.len()).filter(|n| asked.scripts[*n].is_some());
        let unknown: Vec<_> = scripts.filter(is_unknown).collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let again = asked.by_text(&unknown);
        let texts = Box::pin(supervisor::send_all(&self.link, &again, deadline)).await;
        for (n, call) in unknown.into_iter().enumerate() {
            replies[call] = match &texts {
                Ok(texts) => Ok(texts[n].clone()),
                Err(trouble) => Err(trouble.clone()),
            };
        }
        Ok(replies)
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
        let debt = Debt::of(&command, rank);
        let outcome = self.run(command, wire).await;
        match outcome {
            Err(_) if !self.health.debts.owe(self.name(key), debt) => Err(Unsettled::Unremembered),
            outcome => outcome.map_err(Unsettled::Owed),
        }
    }

    /// Remembers a command that must run before `key` is used again. False
    /// when there are too many to remember.
    pub fn owe_later<T>(&self, key: &Key<T>, command: Command, rank: u64) -> bool {
        self.health.debts.owe(self.name(key), Debt::of(&command, Some(rank)))
    }

    /// The same, however many there are: for the few keys that stand for many.
    pub fn owe_surely<T>(&self, key: &Key<T>, command: Command) {
        self.health.debts.owe_surely(self.name(key), Debt::of(&command, None));
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

    fn note(&self, verb: &str, script: Option<&'static Script>, reply: &Result<Value, Trouble>) {
        let proves = |value| script.map_or(proves_writing(verb), |it| it.has_stored(value));
        match reply {
            Err(trouble) => self.health.failed(verb, trouble),
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

/// What Redis answered to each; a trouble where it answered nothing.
type Replies = Vec<Result<Value, Trouble>>;

/// Refusals as troubles, too.
fn each(replies: Replies) -> Replies {
    replies.into_iter().map(|reply| reply.and_then(unwrapped)).collect()
}

fn trip(sent: Instant) -> Trip {
    Trip::to_redis(sent, sent.elapsed())
}
