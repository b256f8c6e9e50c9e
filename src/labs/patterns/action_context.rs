//! The context of an action: the visitor's keys at one pattern, the trace of its
//! commands, and the registry of keys by which the page shows and removes them.

use std::sync::Mutex;

use hitrate_cache::{
    redis::{Client, Command, FromRedisValue, Key, RedisError, Refusal, Script, Value, typed},
    trace::{Span, Trace},
};

use super::{args::Args, trial::TrialReport};
use crate::labs::support::{
    result_store::{ResultStore, RunToken},
    visitor_keys::{KEY_TTL, VisitorKeys},
};

/// Maximum number of keys per demo; the oldest are removed.
pub const KEYS_MAX: usize = 24;
/// Maximum number of results kept, some kilobytes each.
const RUNS_MAX: u64 = 512;
/// The key that lists a demo's keys.
const NAMES: &str = "names";

/// `KEYS[1]` is the list, the others the keys. Arguments: TTL in seconds, maximum number
/// of keys, then the names of the keys. Returns the names of the keys to remove.
static REGISTER_KEYS: Script = Script::new(include_str!("scripts/register_keys.lua"));

/// The error of an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis returned an error reply.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A completed action and its result.
pub struct ActionResult {
    /// The pattern.
    pub slug: &'static str,
    /// The id of the action.
    pub act: &'static str,
    /// Its arguments.
    pub args: Args,
    /// Its messages.
    pub lines: Vec<String>,
    /// The commands and their replies.
    pub trace: Vec<Span>,
    /// The report, if the action was a trial.
    pub trial: Option<TrialReport>,
}

impl ActionResult {
    /// A store for the results of all visitors.
    pub fn store() -> ResultStore<RunToken, Self> {
        ResultStore::with_max_entries(RUNS_MAX)
    }
}

/// The context of one action.
pub struct ActionContext {
    store: Client,
    demo: VisitorKeys,
    trace: Trace,
    args: Args,
    used: Mutex<Vec<String>>,
}

impl ActionContext {
    /// The context of an action with these arguments, recorded on this trace.
    pub fn new(store: &Client, demo: &VisitorKeys, args: Args, trace: &Trace) -> Self {
        let (store, demo, trace) = (store.clone(), demo.clone(), trace.clone());
        Self { store, demo, trace, args, used: Mutex::default() }
    }

    /// The arguments of the action.
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The Redis client, to build commands.
    pub fn store(&self) -> &Client {
        &self.store
    }

    /// The key of this name, registered as the visitor's.
    pub fn key(&self, name: &str) -> Key<()> {
        let mut used = self.used.lock().expect("never poisoned");
        if !used.iter().any(|it| it == name) {
            used.push(name.to_owned());
        }
        self.demo.key(name)
    }

    /// The key of this name, for reading: it is not registered.
    pub fn read_key(&self, name: &str) -> Key<()> {
        self.demo.key(name)
    }

    /// A command that resets the TTL of this key to [`KEY_TTL`].
    pub fn renew(&self, name: &str) -> Command {
        self.store.on("EXPIRE", &self.key(name)).arg(KEY_TTL.as_secs())
    }

    /// Sends commands in one round trip and fails if one returns an error reply.
    pub async fn pipeline(&self, commands: Vec<Command>) -> Result<Vec<Value>, ActionError> {
        let replies = self.pipeline_each(commands).await?;
        Ok(replies.into_iter().collect::<Result<_, _>>()?)
    }

    /// Sends commands in one round trip and returns each result.
    pub async fn pipeline_each(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Value, Refusal>>, RedisError> {
        match commands.is_empty() {
            true => Ok(Vec::new()),
            false => self.store.pipeline_raw(commands, &self.trace).await,
        }
    }

    /// Sends one command.
    pub async fn run<T: FromRedisValue>(&self, command: Command) -> Result<T, ActionError> {
        let mut replies = self.pipeline(vec![command]).await?;
        Ok(typed(replies.pop().unwrap_or(Value::Nil))?)
    }

    /// Registers the keys that the action used. Not traced, because it is not part of the
    /// pattern.
    pub async fn register_keys(&self) -> Result<(), ActionError> {
        let used = self.used.lock().expect("never poisoned").clone();
        if used.is_empty() {
            return Ok(());
        }
        let list = self.name(NAMES);
        let names: Vec<_> =
            std::iter::once(list).chain(used.iter().map(|name| self.name(name))).collect();
        let note = self.store.script_on(&REGISTER_KEYS, &names);
        let note = note.arg(KEY_TTL.as_secs()).arg(KEYS_MAX).arg(&used);
        let old: Vec<String> = self.store.run(note, &Trace::disabled()).await?;
        Ok(self.unlink(&old).await?)
    }

    /// The names of the visitor's keys, including expired ones.
    pub async fn key_names(&self) -> Result<Vec<String>, RedisError> {
        let names = self.store.on("ZRANGE", &self.demo.key(NAMES)).arg(0).arg(-1);
        self.store.run(names, &Trace::disabled()).await
    }

    /// Removes all of the visitor's keys at this pattern. Returns their number.
    pub async fn reset(&self) -> Result<u64, ActionError> {
        let names = self.key_names().await?;
        let unlink = |name: &String| self.store.on("UNLINK", &self.demo.key(name));
        let removed = self.pipeline(names.iter().map(unlink).collect()).await?;
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
