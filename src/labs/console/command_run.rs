//! Runs one typed command: parses, authorizes, renames keys, checks and sends it.

use std::sync::Arc;

use hitrate_cache::{
    redis::{Client, Command, DedicatedConnection, Notation, RedisError, Refusal, Value},
    time::micros,
    trace::{Trace, shortened},
};

use super::{
    Console, ConsoleEntry,
    catalogue::CommandSpec,
    command_line::{self, Word},
    policy::{self, Authorization, NotPermitted},
    quota,
};
use crate::{labs::support::visitor_keys::KEY_TTL, token::Token};

/// The ACL user on a managed Redis.
const USER: &str = "hitrate-console";
/// The permissions of that user, besides its keys (redis.io/docs: "ACL"). Contains only
/// names that every supported server knows.
const RIGHTS: &str = "-@all +@string +@hash +@list +@set +@sortedset +@bitmap +@hyperloglog +@geo \
    +@stream +@keyspace -@dangerous -@admin -@blocking -@scripting -@pubsub -@transaction \
    -@connection -scan -randomkey -dbsize -move -dump +ping +echo +time +xread +xreadgroup \
    +memory|usage";

/// One command in progress.
pub struct CommandRun<'a> {
    pub console: &'a Console,
    pub store: &'a Client,
    /// The prefix of the visitor's keys, which is also the key that lists them.
    pub prefix: String,
    pub trace: Trace,
}

/// Keys whose TTL must be at most a day.
#[derive(Default)]
struct Expirations {
    keys: Vec<Word>,
    /// Whether the server supports `EXPIRE … LT`.
    has_expire_lt: bool,
}

/// The error of a command that was not completed.
pub enum RunError {
    Refused(NotPermitted),
    Redis(RedisError),
}

impl From<NotPermitted> for RunError {
    fn from(why: NotPermitted) -> Self {
        Self::Refused(why)
    }
}

impl From<RedisError> for RunError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl CommandRun<'_> {
    /// Runs the typed line and records the result in `entry`.
    pub async fn run(&self, line: &str, entry: &mut ConsoleEntry) -> Result<(), RunError> {
        let words = command_line::split(line).map_err(|why| NotPermitted(why.to_string()))?;
        let mut connection = DedicatedConnection::open(&self.console.address).await?;
        let spec = self.find(&words, &mut connection).await?;
        entry.summary.clone_from(&spec.summary);
        entry.complexity.clone_from(&spec.complexity);
        entry.replaced_by.clone_from(&spec.replaced_by);
        let plan = policy::authorize(&words, &spec)?;
        let words = self.renamed(words, &plan);
        self.check(&words, &plan, &mut connection).await?;
        entry.sent = Some(command_line::typed(&words));
        let expirations = self.expirations(&words, &plan, &mut connection).await?;
        let mut connection = self.guest_connection(connection).await?;
        self.send(&words, &expirations, &mut connection, entry).await
    }

    async fn find(
        &self,
        words: &[Word],
        connection: &mut DedicatedConnection,
    ) -> Result<Arc<CommandSpec>, RunError> {
        let found = self.console.catalogue.find(words, self.store, connection, &self.trace).await?;
        let unknown = || {
            let name = command_line::typed(&words[..words.len().min(2)]);
            let name = shortened(&name, 60);
            NotPermitted(format!("This server has no command that starts with {name}."))
        };
        Ok(found.ok_or_else(unknown)?)
    }

    /// Puts the keys under the visitor's prefix.
    fn renamed(&self, mut words: Vec<Word>, plan: &Authorization) -> Vec<Word> {
        for position in &plan.keys {
            words[*position].splice(..0, self.prefix.bytes());
        }
        words
    }

    /// Asks the server which keys it sees in the command, and checks the quota.
    async fn check(
        &self,
        words: &[Word],
        plan: &Authorization,
        connection: &mut DedicatedConnection,
    ) -> Result<(), RunError> {
        if plan.keys.is_empty() || plan.has_wrong_arity {
            return Ok(());
        }
        let getkeys = ["COMMAND".into(), "GETKEYS".into()].into_iter().chain(words.iter().cloned());
        let mut commands = vec![self.store.raw_command::<Word>(&getkeys.collect::<Vec<_>>())];
        if plan.grows {
            let keys: Vec<_> = plan.keys.iter().map(|position| &words[*position]).collect();
            commands.push(quota::command(self.store, &self.prefix, &keys));
        }
        let answers = connection.pipeline_raw(commands, &self.trace).await?;
        self.check_ownership(&answers.replies[0])?;
        Ok(answers.replies.get(1).map_or(Ok(()), quota::check)?)
    }

    /// Checks that every key the server sees is the visitor's.
    fn check_ownership(&self, seen: &Result<Value, Refusal>) -> Result<(), NotPermitted> {
        let keys = match seen {
            Ok(Value::Array(keys)) => keys,
            Ok(_) => {
                return Err(NotPermitted(
                    "Redis does not return the keys of this command.".to_owned(),
                ));
            }
            Err(refusal) => {
                let message = format!("Redis can't determine the keys of this command: {refusal}.");
                return Err(NotPermitted(message));
            }
        };
        let is_own = |key: &Value| {
            let Value::BulkString(name) = key else { return false };
            name.len() > self.prefix.len() && name.starts_with(self.prefix.as_bytes())
        };
        match keys.iter().all(is_own) {
            true => Ok(()),
            false => Err(NotPermitted("It uses a key that is not yours.".to_owned())),
        }
    }

    /// A connection as the ACL user, if there is one. A restarted server does not know
    /// the user any more, so it is created again.
    async fn guest_connection(
        &self,
        mut connection: DedicatedConnection,
    ) -> Result<DedicatedConnection, RedisError> {
        let Some(secret) = &self.console.guest else { return Ok(connection) };
        let guest = self.console.address.as_user(USER, &secret.reveal());
        match DedicatedConnection::open(&guest).await {
            Err(RedisError::Denied) => (),
            opened => return opened,
        }
        // Not traced, because it contains the password.
        let answers =
            connection.pipeline_raw(vec![self.create_user(secret)], &Trace::disabled()).await?;
        match &answers.replies[0] {
            Ok(_) => DedicatedConnection::open(&guest).await,
            Err(refusal) => Err(refusal.error.clone()),
        }
    }

    fn create_user(&self, secret: &Token) -> Command {
        let keys = format!("~{}demo:*", self.store.prefix());
        let make = ["ACL", "SETUSER", USER, "reset", "on"].map(str::to_owned);
        let rights = RIGHTS.split_whitespace().map(str::to_owned);
        let words = make.into_iter().chain([format!("#{}", secret.reveal_digest()), keys]);
        self.store.raw_command(&words.chain(rights).collect::<Vec<_>>())
    }

    /// How the keys of a write command get a TTL. Redis 7 has `EXPIRE … LT`, which leaves
    /// a shorter TTL as it is.
    async fn expirations(
        &self,
        words: &[Word],
        plan: &Authorization,
        connection: &mut DedicatedConnection,
    ) -> Result<Expirations, RedisError> {
        if !plan.writes || plan.has_wrong_arity {
            return Ok(Expirations::default());
        }
        let keys = plan.keys.iter().map(|position| words[*position].clone()).collect();
        let catalogue = &self.console.catalogue;
        let expire = catalogue.named("expire", self.store, connection, &self.trace).await?;
        Ok(Expirations { keys, has_expire_lt: expire.is_some_and(|expire| expire.arity < 0) })
    }

    /// Sends the command and, in the same pipeline, the TTL of the keys it writes.
    async fn send(
        &self,
        words: &[Word],
        expirations: &Expirations,
        connection: &mut DedicatedConnection,
        entry: &mut ConsoleEntry,
    ) -> Result<(), RunError> {
        let after = expirations.keys.iter().map(|key| match expirations.has_expire_lt {
            true => self.end(key).arg("LT"),
            false => self.left(key),
        });
        let commands = [self.store.raw_command(words)].into_iter().chain(after).collect();
        let answers = connection.pipeline_raw(commands, &self.trace).await?;
        entry.reply = Some(printed(&answers.replies[0]));
        entry.is_error = answers.replies[0].is_err();
        entry.elapsed_us = Some(micros(answers.took));
        if !expirations.has_expire_lt {
            self.expire_endless(expirations, &answers.replies[1..], connection).await?;
        }
        Ok(())
    }

    /// Before Redis 7: sets the TTL of keys whose TTL is missing or too long.
    async fn expire_endless(
        &self,
        expirations: &Expirations,
        left: &[Result<Value, Refusal>],
        connection: &mut DedicatedConnection,
    ) -> Result<(), RedisError> {
        let endless = expirations.keys.iter().zip(left).filter(|(_, left)| outlives_ttl(left));
        let ends: Vec<_> = endless.map(|(key, _)| self.end(key)).collect();
        if !ends.is_empty() {
            connection.pipeline_raw(ends, &self.trace).await?;
        }
        Ok(())
    }

    fn end(&self, key: &Word) -> Command {
        self.store.raw_command(&[b"EXPIRE".as_slice(), key.as_slice()]).arg(KEY_TTL.as_secs())
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

/// Whether the reply to PTTL means that the key has no TTL or one longer than a day.
fn outlives_ttl(left: &Result<Value, Refusal>) -> bool {
    match left {
        Ok(Value::Int(-1)) => true,
        Ok(Value::Int(left)) => u128::try_from(*left).is_ok_and(|left| left > KEY_TTL.as_millis()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_ttl_or_with_a_long_one_outlive_the_limit() {
        let day = i64::try_from(KEY_TTL.as_millis()).unwrap();
        for (left, endless) in [(-2, false), (-1, true), (0, false), (day, false), (day + 1, true)]
        {
            assert_eq!(outlives_ttl(&Ok(Value::Int(left))), endless, "{left}");
        }
    }
}
