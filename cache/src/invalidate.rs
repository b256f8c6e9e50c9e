//! Invalidation: by key, by tag, by pattern.

use std::{
    panic::resume_unwind,
    time::{Duration, Instant},
};

use crate::{
    Codec, Invalidated, Namespace,
    redis::{DeferError, Key, RedisError, typed},
    scripts,
    trace::RoundTrip,
};

/// Keys that one SCAN examines: about 0.1 ms of Redis's time.
const SCAN_COUNT: usize = 500;
/// How long an invalidation by pattern may take. One that is cut off is reported as
/// incomplete.
const MAX_DURATION: Duration = Duration::from_secs(20);

/// The window in which one process may create a limited number of tombstones, if the cache
/// has a limit (see [`crate::CacheBuilder::max_tombstones_per_minute`]).
const TOMBSTONE_WINDOW: Duration = Duration::from_secs(60);

/// A glob pattern for ids, such as `user-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Parses a pattern: ASCII letters, digits, `-`, `_`, `:`, `*` or `?`; 1 to 100
    /// characters. Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_*?:".contains(c);
        let is_valid = (1..=100).contains(&text.len()) && text.chars().all(is_allowed);
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

/// Runs an invalidation in a task of its own, which goes on if the caller is cancelled.
pub(crate) async fn run_to_end(
    invalidation: impl Future<Output = Invalidated> + Send + 'static,
) -> Invalidated {
    match tokio::spawn(invalidation).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is stopping.
        Err(_) => Invalidated::Deferred(RedisError::ConnectionLost),
    }
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Drops the copy of one key. The copies in this process are dropped even if Redis
    /// fails.
    pub(crate) async fn invalidate_key(&self, key: &Key<T>) -> Invalidated {
        let client = self.client();
        if self.shared().tombstones.admit(TOMBSTONE_WINDOW) {
            let command = self.invalidate_command(key, None);
            return self.finish_invalidation(
                key,
                client.run_or_defer(key, command, None, &self.trace).await,
            );
        }
        let command = client.script(&scripts::INVALIDATE, key).arg(-1).arg(0).arg(0).arg(0).arg(0);
        self.finish_invalidation(key, client.run_or_defer(key, command, None, &self.trace).await)
    }

    fn finish_invalidation(&self, key: &Key<T>, reply: Result<i64, DeferError>) -> Invalidated {
        self.shared().invalidate_local(key.as_str());
        match reply {
            Ok(0) => Invalidated::Nothing,
            Ok(2) => Invalidated::Kept,
            Ok(_) => Invalidated::Dropped,
            Err(error) => {
                if matches!(error, DeferError::LimitReached(_)) {
                    self.cache().defer_namespace(self.name());
                }
                Invalidated::Deferred(error.into_cause())
            }
        }
    }

    /// Drops all copies that match, in batches (SCAN, never KEYS); a dry run only
    /// counts them. `progress` is called after each batch. SCAN may return a key
    /// twice, but returns every key that exists throughout the scan.
    ///
    /// Reaches what Redis holds, and what this process holds. A load in progress of a key
    /// without a copy may still store what it has read, and another process may serve a
    /// copy past its TTL for its grace period.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis fails; earlier batches stay dropped.
    pub async fn invalidate_matching(
        &self,
        pattern: &Pattern,
        dry_run: bool,
        mut progress: impl FnMut(ScanProgress),
    ) -> Result<ScanProgress, RedisError> {
        let (start, mut scan, mut cursor) = (Instant::now(), ScanProgress::default(), 0_u64);
        loop {
            let names = self.scan(pattern, &mut cursor).await?;
            scan.scans += 1;
            let outcomes = self.invalidate_names(&names, dry_run).await?;
            scan.found += outcomes.iter().filter(|it| **it > 0).count() as u64;
            scan.dropped += outcomes.iter().filter(|it| **it == 1 && !dry_run).count() as u64;
            scan.is_complete = cursor == 0;
            progress(scan);
            if scan.is_complete || start.elapsed() >= MAX_DURATION {
                if !dry_run {
                    // Copies past their TTL are no longer in Redis.
                    self.shared().invalidate_namespace(self.name());
                }
                return Ok(scan);
            }
        }
    }

    async fn scan(&self, pattern: &Pattern, cursor: &mut u64) -> Result<Vec<String>, RedisError> {
        let client = self.client();
        let matching = client.key_pattern(&[self.name(), ":", &pattern.0].concat());
        let scan = client.command("SCAN").arg(*cursor).arg("MATCH").arg(matching);
        let (next, names): (u64, Vec<Vec<u8>>) =
            client.run(scan.arg("COUNT").arg(SCAN_COUNT), &self.trace).await?;
        *cursor = next;
        // The keys of the namespace are texts.
        Ok(names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect())
    }

    /// Invalidates the named keys in one round trip, or only examines them in a dry
    /// run. Returns the reply of the script for each.
    async fn invalidate_names(
        &self,
        names: &[String],
        dry_run: bool,
    ) -> Result<Vec<i64>, RedisError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let script = if dry_run { &scripts::WOULD_INVALIDATE } else { &scripts::INVALIDATE };
        let command = |name: &String| match dry_run {
            true => self.client().script_on(script, std::slice::from_ref(name)),
            false => self.invalidate_full(name, None),
        };
        let sent = Instant::now();
        let replies = self.client().run_many(names.iter().map(command).collect()).await?;
        let outcomes: Vec<_> =
            replies.into_iter().map(|it| typed::<i64>(it).unwrap_or_default()).collect();
        if !dry_run {
            self.invalidate_local_names(names);
        }
        self.trace.record(RoundTrip::to_redis(sent, sent.elapsed()), || {
            let copies = outcomes.iter().filter(|it| **it > 0).count();
            let reply = format!("{copies} {}", if copies == 1 { "copy" } else { "copies" });
            [(format!("EVALSHA '{} …' × {}", script.summary(), names.len()), reply)]
        });
        Ok(outcomes)
    }

    fn invalidate_local_names(&self, names: &[String]) {
        for name in names.iter().filter_map(|name| name.strip_prefix(self.client().prefix())) {
            self.shared().invalidate_local(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_narrow_grammar() {
        for valid in ["*", "1?", "user-*", "a:b"] {
            assert!(Pattern::parse(valid).is_some(), "{valid}");
        }
        for invalid in ["", "[a", "\\*", "{a}", "\u{e9}"] {
            assert_eq!(Pattern::parse(invalid), None, "{invalid}");
        }
    }
}
