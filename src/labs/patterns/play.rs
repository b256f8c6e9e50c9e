//! One act of a visitor on one pattern: their keys, the trace that shows what was
//! said, and the list of what they have, by which it is shown and removed.

use std::sync::Mutex;

use hitrate_cache::{
    Key,
    redis::{Command, FromRedisValue, RedisError, Refusal, Script, Store, Value, typed},
    trace::{Span, Trace},
};

use super::{args::Args, trial::TrialReport};
use crate::labs::support::{
    result_store::{ResultStore, RunToken},
    visitor_keys::{KEPT, VisitorKeys},
};

/// The most keys of one demo: older ones make room.
pub const KEYS_MAX: usize = 24;
/// The most acts that are kept: some kilobytes each.
const RUNS_MAX: u64 = 512;
/// The list of a demo's keys.
const NAMES: &str = "names";

/// `KEYS[1]` the list, then the keys; TTL in seconds, the most keys, then the
/// keys' names. Replies the names of those that have to make room.
static NOTE: Script = Script::new(include_str!("scripts/play_note.lua"));

/// Why an act did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Redis said nothing.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// One act, and what came of it.
pub struct ActionResult {
    /// The pattern.
    pub slug: &'static str,
    /// The word that was sent.
    pub act: &'static str,
    /// What the act was told.
    pub args: Args,
    /// What came of it, line by line.
    pub lines: Vec<String>,
    /// The commands that were sent, and their replies.
    pub trace: Vec<Span>,
    /// What was counted, if it was a trial.
    pub trial: Option<TrialReport>,
}

impl ActionResult {
    /// A store for the acts of all visitors.
    pub fn store() -> ResultStore<RunToken, Self> {
        ResultStore::with_max_entries(RUNS_MAX)
    }
}

/// A visitor at one pattern.
pub struct ActionContext {
    store: Store,
    demo: VisitorKeys,
    trace: Trace,
    args: Args,
    used: Mutex<Vec<String>>,
}

impl ActionContext {
    /// An act with these values, recorded on this trace.
    pub fn new(store: &Store, demo: &VisitorKeys, args: Args, trace: &Trace) -> Self {
        let (store, demo, trace) = (store.clone(), demo.clone(), trace.clone());
        Self { store, demo, trace, args, used: Mutex::default() }
    }

    /// The values of the act's fields.
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The door to Redis, to make commands at.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The key of this name, which is the visitor's from now on.
    pub fn key(&self, name: &str) -> Key<()> {
        let mut used = self.used.lock().expect("nobody panics while noting a name");
        if !used.iter().any(|it| it == name) {
            used.push(name.to_owned());
        }
        self.demo.key(name)
    }

    /// The key of this name, only to look at.
    pub fn peek(&self, name: &str) -> Key<()> {
        self.demo.key(name)
    }

    /// Gives the key of this name another day.
    pub fn keep(&self, name: &str) -> Command {
        self.store.on("EXPIRE", &self.key(name)).arg(KEPT.as_secs())
    }

    /// Sends these in one round trip; all have to succeed.
    pub async fn ask(&self, commands: Vec<Command>) -> Result<Vec<Value>, ActionError> {
        let replies = self.try_all(commands).await?;
        Ok(replies.into_iter().collect::<Result<_, _>>()?)
    }

    /// The same; each has a reply of its own.
    pub async fn try_all(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, Refusal>>, RedisError> {
        match commands.is_empty() {
            true => Ok(Vec::new()),
            false => self.store.pipeline_raw(commands, &self.trace).await,
        }
    }

    /// Sends one command.
    pub async fn one<T: FromRedisValue>(&self, command: Command) -> Result<T, ActionError> {
        let mut replies = self.ask(vec![command]).await?;
        Ok(typed(replies.pop().unwrap_or(Value::Nil))?)
    }

    /// Notes the keys that were used, so that they are found again. On no trace:
    /// it is no part of the pattern.
    pub async fn note(&self) -> Result<(), ActionError> {
        let used = self.used.lock().expect("nobody panics while noting a name").clone();
        if used.is_empty() {
            return Ok(());
        }
        let list = self.name(NAMES);
        let names: Vec<_> =
            std::iter::once(list).chain(used.iter().map(|name| self.name(name))).collect();
        let note = self.store.script_on(&NOTE, &names);
        let note = note.arg(KEPT.as_secs()).arg(KEYS_MAX).arg(&used);
        let old: Vec<String> = self.store.run(note, &Trace::disabled()).await?;
        Ok(self.unlink(&old).await?)
    }

    /// The names of the visitor's keys, those that have ended included.
    pub async fn names(&self) -> Result<Vec<String>, RedisError> {
        let names = self.store.on("ZRANGE", &self.demo.key(NAMES)).arg(0).arg(-1);
        self.store.run(names, &Trace::disabled()).await
    }

    /// Removes all of the visitor's keys at this pattern. Returns how many there were.
    pub async fn reset(&self) -> Result<u64, ActionError> {
        let names = self.names().await?;
        let unlink = |name: &String| self.store.on("UNLINK", &self.demo.key(name));
        let removed = self.ask(names.iter().map(unlink).collect()).await?;
        self.unlink(&[NAMES.to_owned()]).await?;
        Ok(removed.into_iter().filter_map(|it| typed::<u64>(it).ok()).sum())
    }

    async fn unlink(&self, names: &[String]) -> Result<(), RedisError> {
        let unlink = |name: &String| self.store.on("UNLINK", &self.demo.key(name));
        let commands: Vec<_> = names.iter().map(unlink).collect();
        if !commands.is_empty() {
            self.store.run_many(commands).await?;
        }
        Ok(())
    }

    fn name(&self, name: &str) -> String {
        self.store.full_key(&self.demo.key(name))
    }
}
