//! Invalidation: by key, by tag, by pattern.

use std::time::{Duration, Instant};

use crate::{
    Cache, CachePolicy, Key, Namespace, keys,
    redis::{Command, RedisError, Value, typed},
    scripts,
    trace::{RoundTrip, Trace},
    write::paths::{TOMBSTONE_TTL, edited_ttl},
};

/// Keys that one SCAN examines: about 0.1 ms of Redis's time.
const SCAN_COUNT: usize = 500;
/// How long an invalidation by pattern may take. One that is cut off is reported as
/// incomplete.
const MAX_DURATION: Duration = Duration::from_secs(20);

/// The window in which one process may create a limited number of tombstones (see
/// [`crate::local::negative`]). Otherwise invalidating keys that never existed
/// would fill Redis.
const TOMBSTONE_WINDOW: Duration = Duration::from_secs(60);

/// The effect of invalidating one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidated {
    /// There was no copy.
    Nothing,
    /// The copy was dropped.
    Dropped,
    /// A pending write-behind copy was kept: the origin does not have its value
    /// yet.
    Kept,
}

/// A glob pattern for cached copies under the store's prefix, such as
/// `profile:user-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Parses a pattern: a registered namespace, a colon, and ASCII letters,
    /// digits, `-`, `_`, `:`, `*` or `?`; at most 100 characters. Returns `None`
    /// for anything else.
    pub fn parse(text: &str, namespaces: &[Namespace]) -> Option<Self> {
        let (first, _) = text.split_once(':')?;
        let is_known = namespaces.iter().any(|namespace| namespace.name() == first);
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_*?:".contains(c);
        let is_valid = is_known && text.len() <= 100 && text.chars().all(is_allowed);
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The pattern as it was entered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The progress of an invalidation by pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// Matching copies; tombstones and other keys don't count.
    pub found: u64,
    /// Copies dropped; 0 in a dry run.
    pub dropped: u64,
    /// SCAN calls.
    pub scans: u64,
    /// Whether the whole keyspace was scanned.
    pub is_complete: bool,
}

impl Cache {
    /// Drops the copy of one key; the next lookup loads it from the origin. The
    /// copies in this process are dropped even if Redis fails.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unreachable or rejects the command.
    pub async fn invalidate<T>(
        &self,
        key: &Key<T>,
        policy: &CachePolicy,
        trace: &Trace,
    ) -> Result<Invalidated, RedisError> {
        let command = match self.engine.tombstones.admit(TOMBSTONE_WINDOW) {
            true => self.invalidate_command(key, None, policy),
            false => self.store.script(&scripts::INVALIDATE, key).arg(-1).arg(0).arg(0).arg(0),
        };
        let reply: Result<i64, RedisError> = self.store.run(command, trace).await;
        self.engine.invalidate_local(key);
        let reply = reply?;
        Ok(match reply {
            0 => Invalidated::Nothing,
            2 => Invalidated::Kept,
            _ => Invalidated::Dropped,
        })
    }

    /// Drops all copies of a namespace with one write, however many there are: each
    /// copy carries the generation of its tag, and this starts a new one. O(1).
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unreachable or rejects the command.
    pub async fn invalidate_tag(
        &self,
        namespace: Namespace,
        trace: &Trace,
    ) -> Result<(), RedisError> {
        let next = self.store.script(&scripts::NEXT_GENERATION, &keys::tag(namespace));
        let outcome = self.store.run::<Value>(next, trace).await;
        self.engine.invalidate_namespace(namespace);
        outcome.map(|_| ())
    }

    /// Drops all copies that match, in batches (SCAN, never KEYS); a dry run only
    /// counts them. `progress` is called after each batch. SCAN may return a key
    /// twice, but returns every key that exists throughout the scan.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis fails; earlier batches stay dropped.
    pub async fn invalidate_matching(
        &self,
        pattern: &Pattern,
        dry_run: bool,
        policy: &CachePolicy,
        trace: &Trace,
        mut progress: impl FnMut(ScanProgress),
    ) -> Result<ScanProgress, RedisError> {
        let (start, mut scan, mut cursor) = (Instant::now(), ScanProgress::default(), 0_u64);
        loop {
            let names = self.scan(pattern, &mut cursor, trace).await?;
            scan.scans += 1;
            let outcomes =
                self.invalidate_names(&names, dry_run, edited_ttl(policy), trace).await?;
            scan.found += outcomes.iter().filter(|it| **it > 0).count() as u64;
            scan.dropped += outcomes.iter().filter(|it| **it == 1 && !dry_run).count() as u64;
            scan.is_complete = cursor == 0;
            progress(scan);
            if scan.is_complete || start.elapsed() >= MAX_DURATION {
                return Ok(scan);
            }
        }
    }

    async fn scan(
        &self,
        pattern: &Pattern,
        cursor: &mut u64,
        trace: &Trace,
    ) -> Result<Vec<String>, RedisError> {
        let matching = self.store.key_pattern(&pattern.0);
        let scan = self.store.command("SCAN").arg(*cursor).arg("MATCH").arg(matching);
        let (next, names): (u64, Vec<String>) =
            self.store.run(scan.arg("COUNT").arg(SCAN_COUNT), trace).await?;
        *cursor = next;
        Ok(names)
    }

    /// Invalidates the named keys in one round trip, or only examines them in a dry
    /// run. Returns the reply of the script for each.
    async fn invalidate_names(
        &self,
        names: &[String],
        dry_run: bool,
        edited_ttl: u64,
        trace: &Trace,
    ) -> Result<Vec<i64>, RedisError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let script = if dry_run { &scripts::WOULD_INVALIDATE } else { &scripts::INVALIDATE };
        let command = |name: &String| match dry_run {
            true => self.store.script_on(script, std::slice::from_ref(name)),
            false => self.invalidate_command_for(name, edited_ttl),
        };
        let sent = Instant::now();
        let replies = self.store.run_many(names.iter().map(command).collect()).await?;
        let outcomes: Vec<_> =
            replies.into_iter().map(|it| typed::<i64>(it).unwrap_or_default()).collect();
        if !dry_run {
            self.invalidate_local_names(names);
        }
        trace.record(RoundTrip::to_redis(sent, sent.elapsed()), || {
            let copies = outcomes.iter().filter(|it| **it > 0).count();
            let reply = format!("{copies} {}", if copies == 1 { "copy" } else { "copies" });
            [(format!("EVALSHA '{} …' × {}", script.summary(), names.len()), reply)]
        });
        Ok(outcomes)
    }

    fn invalidate_command_for(&self, name: &str, edited_ttl: u64) -> Command {
        let prefix = self.store.prefix();
        let known = format!("{prefix}edited:{}", name.strip_prefix(prefix).unwrap_or(name));
        let command = self.store.script_on(&scripts::INVALIDATE, &[name.to_owned(), known]);
        command.arg(-1).arg(crate::time::millis(TOMBSTONE_TTL)).arg(0).arg(edited_ttl)
    }

    fn invalidate_local_names(&self, names: &[String]) {
        for name in names.iter().filter_map(|name| name.strip_prefix(self.store.prefix())) {
            self.engine.invalidate_local_name(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_cached_copies_only() {
        let known = [Namespace::new("profile"), Namespace::new("product")];
        for valid in ["profile:*", "product:1?", "profile:user-*"] {
            assert!(Pattern::parse(valid, &known).is_some(), "{valid}");
        }
        for invalid in ["*", "session:*", "profile", "profile:[a", "tag:*", "profile:é", ""] {
            assert_eq!(Pattern::parse(invalid, &known), None, "{invalid}");
        }
    }
}
