//! A console on the live Redis that a visitor can do no harm with.
//!
//! Five walls, each enough for most of what could go wrong:
//!
//! 1. [`policy`]: by what the server says of the command, only those run that
//!    work on keys of a type, and neither wait nor reach further.
//! 2. Every key is put under the visitor's own prefix ([`key_positions`]), and then the
//!    server itself is asked (`COMMAND GETKEYS`) which keys it sees in the
//!    result: one that is not the visitor's, and nothing is sent.
//! 3. Sizes are bounded before the command runs ([`rules`], [`quota`]), and each
//!    key that is written has a TTL of a day at most.
//! 4. On an own Redis the command runs as an ACL user that can do no more than
//!    this. On a configured server no user is ever made.
//! 5. Each command has a connection of its own, and a deadline.

mod act;
mod catalogue;
mod examples;
mod history;
mod key_positions;
mod policy;
mod quota;
mod rules;
mod words;

use hitrate_cache::{
    redis::{Address, RedisError, Store},
    trace::{Span, Trace},
};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

use self::{
    act::{CommandRun, RunError},
    catalogue::Catalogue,
    history::History,
};
pub use self::{
    examples::{ALL as EXAMPLES, ExampleGroup},
    history::Entries,
    quota::{BYTES_MAX, KEYS_MAX},
    words::{LINE_MAX, NotWords, WORDS_MAX},
};
use crate::{labs::support::visitor_keys::VisitorId, token::Token};

/// Commands that run at the same time, over all visitors.
const CONCURRENCY: usize = 8;

/// A console for all visitors of this process.
pub struct Console {
    address: Address,
    /// The password of the ACL user, on an own Redis.
    guest: Option<Token>,
    key_positions: Semaphore,
    catalogue: Catalogue,
    history: History,
}

/// A command that was typed, and what became of it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ConsoleEntry {
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
    #[schema(value_type = Vec<schemas::Span>)]
    pub trace: Vec<Span>,
}

/// Why a command could not be dealt with at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConsoleError {
    /// Too many at once.
    #[error("too many commands run at the moment")]
    Busy,
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Console {
    /// On this Redis; an own one gets a user for it.
    pub fn new(address: &Address, is_managed: bool) -> Self {
        Self {
            address: address.clone(),
            guest: is_managed.then(Token::random),
            key_positions: Semaphore::new(CONCURRENCY),
            catalogue: Catalogue::default(),
            history: History::default(),
        }
    }

    /// Whether commands run as an ACL user of their own.
    pub fn has_user(&self) -> bool {
        self.guest.is_some()
    }

    /// What a visitor typed, the latest first.
    pub fn history(&self, visitor: &VisitorId) -> Entries {
        self.history.of(&list(visitor))
    }

    /// Forgets what a visitor typed; the keys stay.
    pub fn forget(&self, visitor: &VisitorId) {
        self.history.clear(&list(visitor));
    }

    /// What the names of a visitor's keys begin with in Redis.
    pub fn prefix(store: &Store, visitor: &VisitorId) -> String {
        store.full_key(&visitor.keys("console").key(""))
    }

    /// Runs what was typed, if it may run. Adds it to the history either way.
    pub async fn run(
        &self,
        store: &Store,
        visitor: &VisitorId,
        line: &str,
    ) -> Result<Entries, ConsoleError> {
        let _place = self.place()?;
        // To find out by connecting, as each command does, would take a frozen
        // Redis the time that a distant one may need.
        store.ping().await?;
        let prefix = Self::prefix(store, visitor);
        let act = CommandRun { console: self, store, prefix, trace: Trace::start() };
        let mut entry = ConsoleEntry { typed: line.to_owned(), ..ConsoleEntry::default() };
        match act.run(line, &mut entry).await {
            Ok(()) => (),
            Err(RunError::Refused(why)) => entry.refused = Some(why.0),
            Err(RunError::RedisError(error)) => return Err(ConsoleError::Redis(error)),
        }
        entry.trace = act.trace.spans();
        Ok(self.history.add(&list(visitor), entry))
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, ConsoleError> {
        self.key_positions.try_acquire().map_err(|_| ConsoleError::Busy)
    }
}

/// The name of a visitor's history.
fn list(visitor: &VisitorId) -> String {
    visitor.keys("console").key("").to_string()
}
