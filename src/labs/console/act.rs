//! One typed command on its way: understood, judged, renamed, checked, sent.

use std::sync::Arc;

use hitrate_cache::{
    redis::{Command, DedicatedConnection, Notation, RedisError, Refusal, Store, Value},
    time::micros,
    trace::{Trace, shortened},
};

use super::{
    Console, ConsoleEntry,
    catalogue::CommandSpec,
    policy::{self, Authorization, Refused},
    quota,
    words::{self, Word},
};
use crate::{labs::support::visitor_keys::KEPT, token::Token};

/// The ACL user of an own Redis.
const USER: &str = "hitrate-console";
/// What that user may do, beyond its keys (redis.io/docs: "ACL"). Only names
/// that every supported server knows.
const RIGHTS: &str = "-@all +@string +@hash +@list +@set +@sortedset +@bitmap +@hyperloglog +@geo \
    +@stream +@keyspace -@dangerous -@admin -@blocking -@scripting -@pubsub -@transaction \
    -@connection -scan -randomkey -dbsize -move -dump +ping +echo +time +xread +xreadgroup \
    +memory|usage";

/// One command on its way.
pub struct CommandRun<'a> {
    pub console: &'a Console,
    pub store: &'a Store,
    /// What the names of the visitor's keys begin with, and the key that lists them.
    pub prefix: String,
    pub trace: Trace,
}

/// Keys that shall end in a day at the latest.
#[derive(Default)]
struct Expirations {
    keys: Vec<Word>,
    /// Whether one command does it.
    at_once: bool,
}

/// Why a command goes no further.
pub enum RunError {
    Refused(Refused),
    RedisError(RedisError),
}

impl From<Refused> for RunError {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl From<RedisError> for RunError {
    fn from(error: RedisError) -> Self {
        Self::RedisError(error)
    }
}

impl CommandRun<'_> {
    /// Runs what was typed, and writes into `entry` what becomes of it.
    pub async fn run(&self, line: &str, entry: &mut ConsoleEntry) -> Result<(), RunError> {
        let words = words::split(line).map_err(|why| Refused(why.to_string()))?;
        let mut own = DedicatedConnection::open(&self.console.address).await?;
        let spec = self.find(&words, &mut own).await?;
        entry.summary.clone_from(&spec.summary);
        entry.complexity.clone_from(&spec.complexity);
        entry.replaced_by.clone_from(&spec.replaced_by);
        let plan = policy::authorize(&words, &spec)?;
        let words = self.renamed(words, &plan);
        self.check(&words, &plan, &mut own).await?;
        entry.sent = Some(words::typed(&words));
        let expirations = self.expirations(&words, &plan, &mut own).await?;
        let mut call = self.guest_or(own).await?;
        self.send(&words, &expirations, &mut call, entry).await
    }

    async fn find(
        &self,
        words: &[Word],
        own: &mut DedicatedConnection,
    ) -> Result<Arc<CommandSpec>, RunError> {
        let found = self.console.catalogue.find(words, self.store, own, &self.trace).await?;
        let unknown = || {
            let name = words::typed(&words[..words.len().min(2)]);
            let name = shortened(&name, 60);
            Refused(format!("This server knows no command that begins with {name}."))
        };
        Ok(found.ok_or_else(unknown)?)
    }

    /// The same words, with the keys under the visitor's prefix.
    fn renamed(&self, mut words: Vec<Word>, plan: &Authorization) -> Vec<Word> {
        for place in &plan.keys {
            words[*place].splice(..0, self.prefix.bytes());
        }
        words
    }

    /// Asks the server which keys it sees, and whether there is room for them.
    async fn check(
        &self,
        words: &[Word],
        plan: &Authorization,
        own: &mut DedicatedConnection,
    ) -> Result<(), RunError> {
        if plan.keys.is_empty() || plan.is_misspelt {
            return Ok(());
        }
        let getkeys = ["COMMAND".into(), "GETKEYS".into()].into_iter().chain(words.iter().cloned());
        let mut commands = vec![self.store.raw_command::<Word>(&getkeys.collect::<Vec<_>>())];
        if plan.grows {
            let keys: Vec<_> = plan.keys.iter().map(|place| &words[*place]).collect();
            commands.push(quota::ask(self.store, &self.prefix, &keys));
        }
        let answers = own.pipeline_raw(commands, &self.trace).await?;
        self.are_own(&answers.replies[0])?;
        Ok(answers.replies.get(1).map_or(Ok(()), quota::is_there)?)
    }

    /// Whether every key that the server sees is the visitor's.
    fn are_own(&self, seen: &Result<Value, Refusal>) -> Result<(), Refused> {
        let keys = match seen {
            Ok(Value::Array(keys)) => keys,
            Ok(_) => return Err(Refused("Redis does not say which keys it uses.".to_owned())),
            Err(refusal) => {
                let what = format!("Redis can't tell the keys of this command: {refusal}.");
                return Err(Refused(what));
            }
        };
        let is_managed = |key: &Value| {
            let Value::BulkString(name) = key else { return false };
            name.len() > self.prefix.len() && name.starts_with(self.prefix.as_bytes())
        };
        match keys.iter().all(is_managed) {
            true => Ok(()),
            false => Err(Refused("It uses a key that would not be yours.".to_owned())),
        }
    }

    /// A connection of the ACL user, or the one there is. A server that was
    /// started anew does not know the user any more.
    async fn guest_or(
        &self,
        mut own: DedicatedConnection,
    ) -> Result<DedicatedConnection, RedisError> {
        let Some(secret) = &self.console.guest else { return Ok(own) };
        let guest = self.console.address.as_user(USER, &secret.reveal());
        match DedicatedConnection::open(&guest).await {
            Err(RedisError::Denied) => (),
            opened => return opened,
        }
        // Off the trace: what it says of the password is nobody's business.
        let answers = own.pipeline_raw(vec![self.make_user(secret)], &Trace::disabled()).await?;
        match &answers.replies[0] {
            Ok(_) => DedicatedConnection::open(&guest).await,
            Err(refusal) => Err(refusal.error.clone()),
        }
    }

    fn make_user(&self, secret: &Token) -> Command {
        let keys = format!("~{}demo:*", self.store.prefix());
        let make = ["ACL", "SETUSER", USER, "reset", "on"].map(str::to_owned);
        let rights = RIGHTS.split_whitespace().map(str::to_owned);
        let words = make.into_iter().chain([format!("#{}", secret.reveal_digest()), keys]);
        self.store.raw_command(&words.chain(rights).collect::<Vec<_>>())
    }

    /// How the keys of a command that writes get a TTL. Redis 7 has `EXPIRE … LT`,
    /// which does nothing to one that is shorter.
    async fn expirations(
        &self,
        words: &[Word],
        plan: &Authorization,
        own: &mut DedicatedConnection,
    ) -> Result<Expirations, RedisError> {
        if !plan.writes || plan.is_misspelt {
            return Ok(Expirations::default());
        }
        let keys = plan.keys.iter().map(|place| words[*place].clone()).collect();
        let catalogue = &self.console.catalogue;
        let expire = catalogue.named("expire", self.store, own, &self.trace).await?;
        Ok(Expirations { keys, at_once: expire.is_some_and(|expire| expire.arity < 0) })
    }

    /// Sends the command, and in the same breath what ends the keys it wrote.
    async fn send(
        &self,
        words: &[Word],
        expirations: &Expirations,
        call: &mut DedicatedConnection,
        entry: &mut ConsoleEntry,
    ) -> Result<(), RunError> {
        let after = expirations.keys.iter().map(|key| match expirations.at_once {
            true => self.end(key).arg("LT"),
            false => self.left(key),
        });
        let commands = [self.store.raw_command(words)].into_iter().chain(after).collect();
        let answers = call.pipeline_raw(commands, &self.trace).await?;
        entry.reply = Some(printed(&answers.replies[0]));
        entry.is_error = answers.replies[0].is_err();
        entry.elapsed_us = Some(micros(answers.took));
        if !expirations.at_once {
            self.end_endless(expirations, &answers.replies[1..], call).await?;
        }
        Ok(())
    }

    /// Before Redis 7: asks, then tells.
    async fn end_endless(
        &self,
        expirations: &Expirations,
        left: &[Result<Value, Refusal>],
        call: &mut DedicatedConnection,
    ) -> Result<(), RedisError> {
        let endless = expirations.keys.iter().zip(left).filter(|(_, left)| is_endless(left));
        let ends: Vec<_> = endless.map(|(key, _)| self.end(key)).collect();
        if !ends.is_empty() {
            call.pipeline_raw(ends, &self.trace).await?;
        }
        Ok(())
    }

    fn end(&self, key: &Word) -> Command {
        self.store.raw_command(&[b"EXPIRE".as_slice(), key.as_slice()]).arg(KEPT.as_secs())
    }

    fn left(&self, key: &Word) -> Command {
        self.store.raw_command(&[b"PTTL".as_slice(), key.as_slice()])
    }
}

fn printed(reply: &Result<Value, Refusal>) -> String {
    match reply {
        Ok(value) => Notation::CONSOLE.value(value),
        Err(refusal) => format!("(error) {refusal}"),
    }
}

/// Whether a key with this reply to PTTL has no end within a day.
fn is_endless(left: &Result<Value, Refusal>) -> bool {
    match left {
        Ok(Value::Int(-1)) => true,
        Ok(Value::Int(left)) => u128::try_from(*left).is_ok_and(|left| left > KEPT.as_millis()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_without_an_end_or_with_a_late_one_is_endless() {
        let day = i64::try_from(KEPT.as_millis()).unwrap();
        for (left, endless) in [(-2, false), (-1, true), (0, false), (day, false), (day + 1, true)]
        {
            assert_eq!(is_endless(&Ok(Value::Int(left))), endless, "{left}");
        }
    }
}
