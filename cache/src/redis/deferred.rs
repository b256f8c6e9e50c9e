//! What Redis has to be told before a key is used again: what is behind the
//! key changed while Redis could not be asked.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::Cmd;

use crate::redis::{command::Command, script::Script};

/// The most keys remembered: some 600 bytes each.
const KEYS_MAX: usize = 10_000;

/// The commands still to be run, at most two a key.
#[derive(Default)]
pub struct Debts {
    by_key: Mutex<BTreeMap<String, Vec<Debt>>>,
    any: AtomicBool,
}

/// A command, and what it makes needless.
#[derive(Debug, Clone)]
pub struct Debt {
    command: Arc<Cmd>,
    script: Option<&'static Script>,
    /// Of those with a rank the highest says it all, in whatever order they
    /// come; the latest does of those without. Neither stands for the other.
    rank: Option<u64>,
}

impl Debt {
    /// To run this command later. A script is remembered by its digest.
    pub fn of(command: &Command, rank: Option<u64>) -> Self {
        Self { command: Arc::new(command.cmd.clone()), script: command.script, rank }
    }

    /// What is to be sent.
    pub fn call(&self) -> Cmd {
        Cmd::clone(&self.command)
    }

    /// The call to send where Redis does not know the script by its digest.
    pub fn by_text(&self) -> Option<Cmd> {
        self.script.map(|script| script.by_text(&self.command))
    }
}

impl Debts {
    /// Remembers a command. False when there are too many keys to remember.
    pub fn owe(&self, key: String, debt: Debt) -> bool {
        let mut owed = self.by_key.lock().expect("inserting a key does not panic");
        let fits = owed.len() < KEYS_MAX || owed.contains_key(&key);
        if fits {
            self.add(&mut owed, key, debt);
        }
        fits
    }

    /// The same, however many there are.
    pub fn owe_surely(&self, key: String, debt: Debt) {
        self.add(&mut self.by_key.lock().expect("inserting a key does not panic"), key, debt);
    }

    fn add(&self, owed: &mut BTreeMap<String, Vec<Debt>>, key: String, debt: Debt) {
        let debts = owed.entry(key).or_default();
        match debts.iter_mut().find(|it| it.rank.is_some() == debt.rank.is_some()) {
            Some(before) if debt.rank >= before.rank => *before = debt,
            Some(_) => (),
            None => debts.push(debt),
        }
        self.any.store(true, Ordering::Release);
    }

    /// How many keys have one.
    pub fn len(&self) -> usize {
        self.by_key.lock().expect("counting keys does not panic").len()
    }

    /// Whether any command is still to be run.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether a command on this key is still to be run.
    pub fn has(&self, key: &str) -> bool {
        self.by_key.lock().expect("looking up a key does not panic").contains_key(key)
    }

    /// All of them, by key.
    pub fn all(&self) -> Vec<(String, Debt)> {
        let owed = self.by_key.lock().expect("cloning keys does not panic");
        let each = |(key, debts): (&String, &Vec<Debt>)| {
            debts.iter().map(|debt| (key.clone(), debt.clone())).collect::<Vec<_>>()
        };
        owed.iter().flat_map(each).collect()
    }

    /// This command has run. Those owed for the key since stay.
    pub fn paid(&self, key: &str, paid: &Debt) {
        let mut owed = self.by_key.lock().expect("removing a key does not panic");
        if let Some(debts) = owed.get_mut(key) {
            debts.retain(|debt| !Arc::ptr_eq(&debt.command, &paid.command));
            if debts.is_empty() {
                owed.remove(key);
            }
        }
        self.any.store(!owed.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debt(name: &str, rank: Option<u64>) -> Debt {
        Debt::of(&Command::of(&[name]), rank)
    }

    fn verbs(debts: &Debts) -> Vec<String> {
        let packed = |debt: &Debt| String::from_utf8(debt.call().get_packed_command()).unwrap();
        let verb = |debt: &Debt| packed(debt).lines().nth(2).unwrap().to_owned();
        debts.all().iter().map(|(_, debt)| verb(debt)).collect()
    }

    #[test]
    fn the_highest_rank_stays_and_beside_it_the_latest_without() {
        let debts = Debts::default();
        for (name, rank) in
            [("OLD", Some(1)), ("ANY", None), ("NEW", Some(3)), ("LATE", Some(2)), ("LAST", None)]
        {
            assert!(debts.owe("key".into(), debt(name, rank)));
        }
        assert_eq!(verbs(&debts), ["NEW", "LAST"]);
    }

    #[test]
    fn a_key_is_free_when_all_of_its_own_is_paid() {
        let debts = Debts::default();
        debts.owe("key".into(), debt("RANKED", Some(1)));
        debts.owe("key".into(), debt("ANY", None));
        let [(key, ranked), (_, any)] = debts.all().try_into().unwrap();
        debts.paid(&key, &ranked);
        assert!(debts.has("key") && debts.any());
        debts.owe("key".into(), debt("SINCE", None));
        debts.paid(&key, &any);
        assert_eq!(verbs(&debts), ["SINCE"]);
        let [(_, since)] = debts.all().try_into().unwrap();
        debts.paid(&key, &since);
        assert!(!debts.has("key") && !debts.any());
    }

    #[test]
    fn they_are_bounded_but_for_those_that_stand_for_many() {
        let debts = Debts::default();
        assert!((0..KEYS_MAX).all(|key| debts.owe(key.to_string(), debt("DEL", None))));
        assert!(!debts.owe("one more".into(), debt("DEL", None)));
        assert!(debts.owe("7".into(), debt("DEL", Some(1))));
        debts.owe_surely("tag".into(), debt("INCR", None));
        assert!(debts.has("tag"));
    }
}
