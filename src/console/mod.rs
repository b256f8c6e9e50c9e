//! A console on the live Redis that a visitor can do no harm with.
//!
//! Five walls, each enough for most of what could go wrong:
//!
//! 1. [`policy`]: by what the server says of the command, only those run that
//!    work on keys of a type, and neither wait nor reach further.
//! 2. Every key is put under the visitor's own prefix ([`places`]), and then the
//!    server itself is asked (`COMMAND GETKEYS`) which keys it sees in the
//!    result: one that is not the visitor's, and nothing is sent.
//! 3. Sizes are bounded before the command runs ([`policy`], [`room`]), and each
//!    key that is written has a TTL of a day at most.
//! 4. On an own Redis the command runs as an ACL user that can do no more than
//!    this. On a configured server no user is ever made.
//! 5. Each command has a connection of its own, and a deadline.

mod catalogue;
mod examples;
mod history;
mod places;
mod policy;
mod reply;
mod room;
mod words;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

use self::{
    catalogue::{Catalogue, Manual},
    history::History,
    policy::{Plan, Refused},
    words::Word,
};
pub use self::{
    examples::{ALL as EXAMPLES, Group},
    history::Entries,
    room::{BYTES_MAX, KEYS_MAX},
    words::{LINE_MAX, NotWords, WORDS_MAX},
};
use crate::{
    clock::micros,
    demo::{KEPT, Visitor},
    store::{Address, Call, Command, Refusal, Store, Trouble, Value},
    token::Token,
    wire::{Step, Wire},
};

/// Commands that run at the same time, over all visitors.
const AT_ONCE: usize = 8;
/// The ACL user of an own Redis.
const USER: &str = "hitrate-console";
/// What that user may do, beyond its keys (redis.io/docs: "ACL"). Only names
/// that every supported server knows.
const RIGHTS: &str = "-@all +@string +@hash +@list +@set +@sortedset +@bitmap +@hyperloglog +@geo \
    +@stream +@keyspace -@dangerous -@admin -@blocking -@scripting -@pubsub -@transaction \
    -@connection -scan -randomkey -dbsize -move -dump +ping +echo +time +xread +xreadgroup \
    +memory|usage";

/// A console for all visitors of this process.
pub struct Console {
    address: Address,
    /// The password of the ACL user, on an own Redis.
    guest: Option<Token>,
    places: Semaphore,
    catalogue: Catalogue,
    history: History,
}

/// A command that was typed, and what became of it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Entry {
    /// As it was typed.
    pub typed: String,
    /// As it was sent, keys under the visitor's prefix; null when it was not.
    pub sent: Option<String>,
    /// As redis-cli prints it; null when nothing was sent.
    pub reply: Option<String>,
    /// Whether the reply is an error of Redis.
    pub is_error: bool,
    /// Microseconds from sending to reply, for one round trip.
    pub elapsed_us: Option<u64>,
    /// What the command does, in the server's words; null before Redis 7.
    pub summary: Option<String>,
    /// What it costs, in the server's words; null before Redis 7.
    pub complexity: Option<String>,
    /// What to write today, where the command is deprecated.
    pub replaced_by: Option<String>,
    /// Why it was not sent; null when it was.
    pub refused: Option<String>,
    /// What was said to Redis for it.
    #[serde(skip)]
    pub transcript: Vec<Step>,
}

/// Why a command could not be dealt with at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotRun {
    /// Too many at once.
    #[error("too many commands run at the moment")]
    Busy,
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] Trouble),
}

/// One command on its way.
struct Act<'a> {
    console: &'a Console,
    store: &'a Store,
    /// What the names of the visitor's keys begin with, and the key that lists them.
    prefix: String,
    wire: Wire,
}

impl Console {
    /// On this Redis; an own one gets a user for it.
    pub fn new(address: &Address, is_own: bool) -> Self {
        Self {
            address: address.clone(),
            guest: is_own.then(Token::random),
            places: Semaphore::new(AT_ONCE),
            catalogue: Catalogue::default(),
            history: History::default(),
        }
    }

    /// Whether commands run as an ACL user of their own.
    pub fn has_user(&self) -> bool {
        self.guest.is_some()
    }

    /// What a visitor typed, the latest first.
    pub fn history(&self, visitor: &Visitor) -> Entries {
        self.history.of(&list(visitor))
    }

    /// Forgets what a visitor typed; the keys stay.
    pub fn forget(&self, visitor: &Visitor) {
        self.history.clear(&list(visitor));
    }

    /// What the names of a visitor's keys begin with in Redis.
    pub fn prefix(store: &Store, visitor: &Visitor) -> String {
        store.name(&visitor.demo("console").key(""))
    }

    /// Runs what was typed, if it may run. Adds it to the history either way.
    pub async fn run(
        &self,
        store: &Store,
        visitor: &Visitor,
        line: &str,
    ) -> Result<Entries, NotRun> {
        if store.is_away() {
            return Err(NotRun::Redis(Trouble::Away));
        }
        let _place = self.place()?;
        let prefix = Self::prefix(store, visitor);
        let act = Act { console: self, store, prefix, wire: Wire::on() };
        let mut entry = Entry { typed: line.to_owned(), ..Entry::default() };
        match act.run(line, &mut entry).await {
            Ok(()) => (),
            Err(Stop::Refused(why)) => entry.refused = Some(why.0),
            Err(Stop::Trouble(trouble)) => return Err(NotRun::Redis(trouble)),
        }
        entry.transcript = act.wire.steps();
        Ok(self.history.add(&list(visitor), entry))
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, NotRun> {
        self.places.try_acquire().map_err(|_| NotRun::Busy)
    }
}

/// The name of a visitor's history.
fn list(visitor: &Visitor) -> String {
    visitor.demo("console").key("").to_string()
}

/// Keys that shall end in a day at the latest.
#[derive(Default)]
struct Endings {
    keys: Vec<Word>,
    /// Whether one command does it.
    at_once: bool,
}

/// Why a command goes no further.
enum Stop {
    Refused(Refused),
    Trouble(Trouble),
}

impl From<Refused> for Stop {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Act<'_> {
    async fn run(&self, line: &str, entry: &mut Entry) -> Result<(), Stop> {
        let words = words::split(line).map_err(|why| Refused(why.to_string()))?;
        let mut own = Call::open(&self.console.address).await?;
        let manual = self.find(&words, &mut own).await?;
        entry.summary.clone_from(&manual.summary);
        entry.complexity.clone_from(&manual.complexity);
        entry.replaced_by.clone_from(&manual.replaced_by);
        let plan = policy::judge(&words, &manual)?;
        let words = self.renamed(words, &plan);
        self.check(&words, &plan, &mut own).await?;
        entry.sent = Some(words::typed(&words));
        let endings = self.endings(&words, &plan, &mut own).await?;
        let mut call = self.guest_or(own).await?;
        self.send(&words, &endings, &mut call, entry).await
    }

    async fn find(&self, words: &[Word], own: &mut Call) -> Result<Arc<Manual>, Stop> {
        let found = self.console.catalogue.find(words, self.store, own, &self.wire).await?;
        let unknown = || {
            let name = words::typed(&words[..words.len().min(2)]);
            let name = crate::wire::shortened(&name, 60);
            Refused(format!("This server knows no command that begins with {name}."))
        };
        Ok(found.ok_or_else(unknown)?)
    }

    /// The same words, with the keys under the visitor's prefix.
    fn renamed(&self, mut words: Vec<Word>, plan: &Plan) -> Vec<Word> {
        for place in &plan.keys {
            words[*place].splice(..0, self.prefix.bytes());
        }
        words
    }

    /// Asks the server which keys it sees, and whether there is room for them.
    async fn check(&self, words: &[Word], plan: &Plan, own: &mut Call) -> Result<(), Stop> {
        if plan.keys.is_empty() || plan.is_misspelt {
            return Ok(());
        }
        let getkeys = ["COMMAND".into(), "GETKEYS".into()].into_iter().chain(words.iter().cloned());
        let mut commands = vec![self.store.words::<Word>(&getkeys.collect::<Vec<_>>())];
        if plan.grows {
            let keys: Vec<_> = plan.keys.iter().map(|place| &words[*place]).collect();
            commands.push(room::ask(self.store, &self.prefix, &keys));
        }
        let answers = own.ask(commands, &self.wire).await?;
        self.are_own(&answers.replies[0])?;
        Ok(answers.replies.get(1).map_or(Ok(()), room::is_there)?)
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
        let is_own = |key: &Value| {
            let Value::BulkString(name) = key else { return false };
            name.len() > self.prefix.len() && name.starts_with(self.prefix.as_bytes())
        };
        match keys.iter().all(is_own) {
            true => Ok(()),
            false => Err(Refused("It uses a key that would not be yours.".to_owned())),
        }
    }

    /// A connection of the ACL user, or the one there is. A server that was
    /// started anew does not know the user any more.
    async fn guest_or(&self, mut own: Call) -> Result<Call, Trouble> {
        let Some(secret) = &self.console.guest else { return Ok(own) };
        let guest = self.console.address.as_user(USER, &secret.reveal());
        match Call::open(&guest).await {
            Err(Trouble::Denied) => (),
            opened => return opened,
        }
        let answers = own.ask(vec![self.make_user(secret)], &self.wire).await?;
        match &answers.replies[0] {
            Ok(_) => Call::open(&guest).await,
            Err(refusal) => Err(refusal.trouble.clone()),
        }
    }

    fn make_user(&self, secret: &Token) -> Command {
        let keys = format!("~{}demo:*", self.store.prefix());
        let make = ["ACL", "SETUSER", USER, "reset", "on"].map(str::to_owned);
        let rights = RIGHTS.split_whitespace().map(str::to_owned);
        let words = make.into_iter().chain([format!("#{}", secret.reveal_digest()), keys]);
        self.store.words(&words.chain(rights).collect::<Vec<_>>())
    }

    /// How the keys of a command that writes get a TTL. Redis 7 has `EXPIRE … LT`,
    /// which does nothing to one that is shorter.
    async fn endings(
        &self,
        words: &[Word],
        plan: &Plan,
        own: &mut Call,
    ) -> Result<Endings, Trouble> {
        if !plan.writes || plan.is_misspelt {
            return Ok(Endings::default());
        }
        let keys = plan.keys.iter().map(|place| words[*place].clone()).collect();
        let catalogue = &self.console.catalogue;
        let expire = catalogue.named("expire", self.store, own, &self.wire).await?;
        Ok(Endings { keys, at_once: expire.is_some_and(|expire| expire.arity < 0) })
    }

    /// Sends the command, and in the same breath what ends the keys it wrote.
    async fn send(
        &self,
        words: &[Word],
        endings: &Endings,
        call: &mut Call,
        entry: &mut Entry,
    ) -> Result<(), Stop> {
        let after = endings.keys.iter().map(|key| match endings.at_once {
            true => self.end(key).arg("LT"),
            false => self.left(key),
        });
        let commands = [self.store.words(words)].into_iter().chain(after).collect();
        let answers = call.ask(commands, &self.wire).await?;
        entry.reply = Some(reply::printed(&answers.replies[0]));
        entry.is_error = answers.replies[0].is_err();
        entry.elapsed_us = Some(micros(answers.took));
        if !endings.at_once {
            self.end_endless(endings, &answers.replies[1..], call).await?;
        }
        Ok(())
    }

    /// Before Redis 7: asks, then tells.
    async fn end_endless(
        &self,
        endings: &Endings,
        left: &[Result<Value, Refusal>],
        call: &mut Call,
    ) -> Result<(), Trouble> {
        let endless = endings.keys.iter().zip(left).filter(|(_, left)| is_endless(left));
        let ends: Vec<_> = endless.map(|(key, _)| self.end(key)).collect();
        if !ends.is_empty() {
            call.ask(ends, &self.wire).await?;
        }
        Ok(())
    }

    fn end(&self, key: &Word) -> Command {
        self.store.words(&[b"EXPIRE".as_slice(), key.as_slice()]).arg(KEPT.as_secs())
    }

    fn left(&self, key: &Word) -> Command {
        self.store.words(&[b"PTTL".as_slice(), key.as_slice()])
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
