//! How Redis is doing, over all connections of this process.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::mood::Mood;

use super::trouble::Trouble;

/// The most keys remembered for [`Health::owe`]: some 100 bytes each.
const OWED_MAX: usize = 10_000;

/// Shared by all connections to one Redis, so that the log hears of a change
/// once and not once per connection or request.
pub struct Health {
    /// Connections that are down. The mood changes with the first and the last.
    down: Mutex<usize>,
    connection: Mood<Trouble>,
    writes: Mood<Trouble>,
    owed: Mutex<BTreeSet<String>>,
    owing: AtomicBool,
}

/// What works at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of it.
    Up,
    /// Reads work, writes are refused, for this long already.
    Refusing(Trouble, Duration),
    /// Nothing, for this long already.
    Down(Trouble, Duration),
}

impl Default for Health {
    fn default() -> Self {
        Self {
            down: Mutex::new(0),
            connection: Mood::good("Redis connection (pages go on from the database)"),
            writes: Mood::good("Redis writes (nothing is cached or counted)"),
            owed: Mutex::default(),
            owing: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// What works at the moment.
    pub fn condition(&self) -> Condition {
        if let Some((trouble, since)) = self.connection.trouble() {
            return Condition::Down(trouble, since);
        }
        match self.writes.trouble() {
            Some((trouble, since)) => Condition::Refusing(trouble, since),
            None => Condition::Up,
        }
    }

    /// A connection went down.
    pub(super) fn lost(&self, trouble: &Trouble) {
        *self.down.lock().expect("counting does not panic") += 1;
        self.connection.bad(trouble);
    }

    /// A connection that was down works again.
    pub(super) fn regained(&self) {
        let mut down = self.down.lock().expect("counting does not panic");
        *down = down.saturating_sub(1);
        if *down == 0 {
            self.connection.well();
        }
    }

    /// A command that writes got this reply.
    pub(super) fn wrote(&self, result: Result<(), &Trouble>) {
        match result {
            Ok(()) => self.writes.well(),
            Err(trouble) if trouble.is_refused_write() => self.writes.bad(trouble),
            Err(_) => (),
        }
    }

    /// Remembers a key that must be deleted before Redis is used again: the
    /// row behind it changed while Redis could not be told. False when there
    /// are too many to remember.
    pub(super) fn owe(&self, key: String) -> bool {
        let mut owed = self.owed.lock().expect("inserting a key does not panic");
        let fits = owed.len() < OWED_MAX;
        if fits {
            owed.insert(key);
            self.owing.store(true, Ordering::Release);
        }
        fits
    }

    /// Whether any key is still to be deleted.
    pub(super) fn owes_any(&self) -> bool {
        self.owing.load(Ordering::Acquire)
    }

    /// Whether this key is still to be deleted.
    pub(super) fn owes(&self, key: &str) -> bool {
        self.owed.lock().expect("looking up a key does not panic").contains(key)
    }

    /// The keys still to be deleted.
    pub(super) fn owed(&self) -> Vec<String> {
        self.owed.lock().expect("cloning keys does not panic").iter().cloned().collect()
    }

    /// These keys are deleted.
    pub(super) fn paid(&self, keys: &[String]) {
        let mut owed = self.owed.lock().expect("removing a key does not panic");
        for key in keys {
            owed.remove(key);
        }
        self.owing.store(!owed.is_empty(), Ordering::Release);
    }
}
