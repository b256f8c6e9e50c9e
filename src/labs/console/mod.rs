//! A console on the live Redis that is safe to expose to visitors.
//!
//! Five layers of protection:
//!
//! 1. [`policy`]: by the server's own command descriptions, only commands run that work
//!    on keys of a data type, don't block and don't reach beyond their keys.
//! 2. Every key is put under the visitor's own prefix ([`key_positions`]). The server is
//!    then asked by `COMMAND GETKEYS` which keys it sees; if one is not the visitor's,
//!    nothing is sent.
//! 3. Sizes are limited before the command runs ([`rules`], [`quota`]), and each written
//!    key gets a TTL of at most a day.
//! 4. On a managed Redis the command runs as an ACL user with no further permissions. On
//!    a configured server no user is ever created.
//! 5. Each command has its own connection and a deadline.

mod catalogue;
mod command_line;
mod command_run;
mod examples;
mod history;
mod key_positions;
mod policy;
mod quota;
mod rules;

use hitrate_cache::{
    redis::{Address, Client, RedisError},
    trace::{Span, Trace},
};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

use self::{
    catalogue::Catalogue,
    command_run::{CommandRun, RunError},
    history::History,
};
pub use self::{
    command_line::{CommandLineError, LINE_MAX, WORDS_MAX},
    examples::{ALL as EXAMPLES, ExampleGroup},
    history::Entries,
    quota::{BYTES_MAX, KEYS_MAX},
};
use crate::{labs::support::visitor_keys::VisitorId, token::Token};

/// Maximum number of commands that run concurrently, over all visitors.
const CONCURRENCY: usize = 8;

/// The console of this process, shared by all visitors.
pub struct Console {
    address: Address,
    /// The password of the ACL user, on a managed Redis.
    guest: Option<Token>,
    slots: Semaphore,
    catalogue: Catalogue,
    history: History,
}

/// A typed command and its result.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ConsoleEntry {
    /// The command as typed.
    pub typed: String,
    /// The command as sent, with keys under the visitor's prefix; null if it was not
    /// sent.
    pub sent: Option<String>,
    /// The reply as redis-cli prints it; null if nothing was sent.
    pub reply: Option<String>,
    /// Whether the reply is an error reply.
    pub is_error: bool,
    /// Duration of the round trip, in microseconds.
    pub elapsed_us: Option<u64>,
    /// The server's description of the command; null before Redis 7.
    pub summary: Option<String>,
    /// The time complexity, by the server; null before Redis 7.
    pub complexity: Option<String>,
    /// The replacement, if the command is deprecated.
    pub replaced_by: Option<String>,
    /// The reason for not sending it; null if it was sent.
    pub refused: Option<String>,
    /// The round trips of the command.
    #[serde(skip)]
    #[schema(value_type = Vec<schemas::Span>)]
    pub trace: Vec<Span>,
}

/// The error of a command that could not be handled.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConsoleError {
    /// Too many commands are running.
    #[error("too many commands are running")]
    Busy,
    /// Redis did not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Console {
    /// A console on this Redis; a managed one gets an ACL user.
    pub fn new(address: &Address, is_managed: bool) -> Self {
        Self {
            address: address.clone(),
            guest: is_managed.then(Token::random),
            slots: Semaphore::new(CONCURRENCY),
            catalogue: Catalogue::default(),
            history: History::default(),
        }
    }

    /// Whether commands run as a dedicated ACL user.
    pub fn has_acl_user(&self) -> bool {
        self.guest.is_some()
    }

    /// The history of a visitor, the latest entry first.
    pub fn history(&self, visitor: &VisitorId) -> Entries {
        self.history.of(&list(visitor))
    }

    /// Clears the history of a visitor. The keys stay.
    pub fn clear_history(&self, visitor: &VisitorId) {
        self.history.clear(&list(visitor));
    }

    /// The prefix of a visitor's keys in Redis.
    pub fn prefix(store: &Client, visitor: &VisitorId) -> String {
        store.full_key(&visitor.keys("console").key(""))
    }

    /// Runs a typed line if it is permitted, and adds it to the history either way.
    pub async fn run(
        &self,
        store: &Client,
        visitor: &VisitorId,
        line: &str,
    ) -> Result<Entries, ConsoleError> {
        let _slot = self.slot()?;
        // Fails fast: a frozen Redis would otherwise take the connect timeout, which is
        // meant for distant servers.
        store.ping().await?;
        let prefix = Self::prefix(store, visitor);
        let act = CommandRun { console: self, store, prefix, trace: Trace::start() };
        let mut entry = ConsoleEntry { typed: line.to_owned(), ..ConsoleEntry::default() };
        match act.run(line, &mut entry).await {
            Ok(()) => (),
            Err(RunError::Refused(why)) => entry.refused = Some(why.0),
            Err(RunError::Redis(error)) => return Err(ConsoleError::Redis(error)),
        }
        entry.trace = act.trace.spans();
        Ok(self.history.add(&list(visitor), entry))
    }

    fn slot(&self) -> Result<SemaphorePermit<'_>, ConsoleError> {
        self.slots.try_acquire().map_err(|_| ConsoleError::Busy)
    }
}

/// The key of a visitor's history.
fn list(visitor: &VisitorId) -> String {
    visitor.keys("console").key("").to_string()
}
