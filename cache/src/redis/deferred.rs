//! Deferred invalidations: the value behind a key changed while Redis was
//! unreachable, so an invalidation must run before the key is used again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::Cmd;

use crate::redis::{command::Command, script::Script};

/// The limit on keys: some 600 bytes each.
const MAX_KEYS: usize = 10_000;

/// The invalidations still to be run, at most two per key.
#[derive(Default)]
pub struct DeferredInvalidations {
    by_key: Mutex<BTreeMap<String, Vec<DeferredInvalidation>>>,
    any: AtomicBool,
}

/// An invalidation to replay.
#[derive(Debug, Clone)]
pub struct DeferredInvalidation {
    command: Arc<Cmd>,
    script: Option<&'static Script>,
    /// Of those with a rank, the highest replaces the others, whatever their order;
    /// of those without, the latest does. One kind does not replace the other.
    rank: Option<u64>,
}

impl DeferredInvalidation {
    /// Defers this command. A script is sent by its digest first.
    pub fn of(command: &Command, rank: Option<u64>) -> Self {
        Self { command: Arc::new(command.cmd.clone()), script: command.script, rank }
    }

    /// The command to send.
    pub fn command(&self) -> Cmd {
        Cmd::clone(&self.command)
    }

    /// The EVAL command to send if Redis does not have the script.
    pub fn eval_fallback(&self) -> Option<Cmd> {
        self.script.map(|script| script.eval(&self.command))
    }
}

impl DeferredInvalidations {
    /// Adds an invalidation. Returns false if too many keys have one.
    pub fn defer(&self, key: String, invalidation: DeferredInvalidation) -> bool {
        let mut deferred = self.by_key.lock().expect("inserting a key does not panic");
        let fits = deferred.len() < MAX_KEYS || deferred.contains_key(&key);
        if fits {
            self.add(&mut deferred, key, invalidation);
        }
        fits
    }

    /// As [`Self::defer`], without a limit.
    pub fn defer_unbounded(&self, key: String, invalidation: DeferredInvalidation) {
        self.add(
            &mut self.by_key.lock().expect("inserting a key does not panic"),
            key,
            invalidation,
        );
    }

    fn add(
        &self,
        deferred: &mut BTreeMap<String, Vec<DeferredInvalidation>>,
        key: String,
        invalidation: DeferredInvalidation,
    ) {
        let deferred = deferred.entry(key).or_default();
        match deferred.iter_mut().find(|it| it.rank.is_some() == invalidation.rank.is_some()) {
            Some(before) if invalidation.rank >= before.rank => *before = invalidation,
            Some(_) => (),
            None => deferred.push(invalidation),
        }
        self.any.store(true, Ordering::Release);
    }

    /// The number of keys with deferred invalidations.
    pub fn len(&self) -> usize {
        self.by_key.lock().expect("counting keys does not panic").len()
    }

    /// Whether any invalidation is deferred.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether an invalidation of this key is deferred.
    pub fn has(&self, key: &str) -> bool {
        self.by_key.lock().expect("looking up a key does not panic").contains_key(key)
    }

    /// All invalidations, with their keys.
    pub fn all(&self) -> Vec<(String, DeferredInvalidation)> {
        let deferred = self.by_key.lock().expect("cloning keys does not panic");
        let of_key = |(key, deferred): (&String, &Vec<DeferredInvalidation>)| {
            deferred
                .iter()
                .map(|invalidation| (key.clone(), invalidation.clone()))
                .collect::<Vec<_>>()
        };
        deferred.iter().flat_map(of_key).collect()
    }

    /// Removes an invalidation that has run. Others of the key, deferred since,
    /// stay.
    pub fn done(&self, key: &str, done: &DeferredInvalidation) {
        let mut deferred = self.by_key.lock().expect("removing a key does not panic");
        if let Some(of_key) = deferred.get_mut(key) {
            of_key.retain(|it| !Arc::ptr_eq(&it.command, &done.command));
            if of_key.is_empty() {
                deferred.remove(key);
            }
        }
        self.any.store(!deferred.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalidation(name: &str, rank: Option<u64>) -> DeferredInvalidation {
        DeferredInvalidation::of(&Command::raw(&[name]), rank)
    }

    fn verbs(deferred: &DeferredInvalidations) -> Vec<String> {
        let packed = |invalidation: &DeferredInvalidation| {
            String::from_utf8(invalidation.command().get_packed_command()).unwrap()
        };
        let verb = |invalidation: &DeferredInvalidation| {
            packed(invalidation).lines().nth(2).unwrap().to_owned()
        };
        deferred.all().iter().map(|(_, invalidation)| verb(invalidation)).collect()
    }

    #[test]
    fn the_highest_rank_stays_beside_the_latest_unranked() {
        let deferred = DeferredInvalidations::default();
        for (name, rank) in
            [("OLD", Some(1)), ("ANY", None), ("NEW", Some(3)), ("LATE", Some(2)), ("LAST", None)]
        {
            assert!(deferred.defer("key".into(), invalidation(name, rank)));
        }
        assert_eq!(verbs(&deferred), ["NEW", "LAST"]);
    }

    #[test]
    fn a_key_is_usable_once_all_its_invalidations_have_run() {
        let deferred = DeferredInvalidations::default();
        deferred.defer("key".into(), invalidation("RANKED", Some(1)));
        deferred.defer("key".into(), invalidation("ANY", None));
        let [(key, ranked), (_, any)] = deferred.all().try_into().unwrap();
        deferred.done(&key, &ranked);
        assert!(deferred.has("key") && deferred.any());
        deferred.defer("key".into(), invalidation("SINCE", None));
        deferred.done(&key, &any);
        assert_eq!(verbs(&deferred), ["SINCE"]);
        let [(_, since)] = deferred.all().try_into().unwrap();
        deferred.done(&key, &since);
        assert!(!deferred.has("key") && !deferred.any());
    }

    #[test]
    fn the_number_of_keys_is_bounded_except_for_tags() {
        let deferred = DeferredInvalidations::default();
        assert!(
            (0..MAX_KEYS).all(|key| deferred.defer(key.to_string(), invalidation("DEL", None)))
        );
        assert!(!deferred.defer("one more".into(), invalidation("DEL", None)));
        assert!(deferred.defer("7".into(), invalidation("DEL", Some(1))));
        deferred.defer_unbounded("tag".into(), invalidation("INCR", None));
        assert!(deferred.has("tag"));
    }
}
