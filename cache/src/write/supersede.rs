//! Drops copies that a write made older.

use crate::{
    Codec, Namespace, keys,
    redis::{Command, DeferError, Key},
    scripts,
    time::millis,
    write::written::Effect,
};

/// How long the stamp of a key's last write is kept: a clock steps back by less.
const CLOCK_TTL_MS: u64 = 86_400_000;

/// A write that the origin has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The version.
    pub version: u64,
    /// When it was written, in microseconds since 1970 by Redis's clock.
    pub stamp: u64,
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Invalidates copies of `key` that are older than `committed`, and prevents
    /// later fills with older values. Without a version it drops any copy except a
    /// pending one.
    ///
    /// If Redis fails, the invalidation is deferred, and this process does not use the
    /// copy until it has run.
    pub(crate) async fn supersede(&self, key: &Key<T>, committed: Option<Committed>) -> Effect {
        let command = self.invalidate_command(key, committed);
        let rank = committed.map(|it| it.version);
        let reply: Result<i64, DeferError> =
            self.client().run_or_defer(key, command, rank, &self.trace).await;
        self.shared().invalidate_local(key.as_str());
        match reply {
            Ok(dropped) => Effect::Invalidated(dropped == 1),
            Err(error) => {
                if matches!(error, DeferError::LimitReached(_)) {
                    self.cache().defer_namespace(self.name());
                }
                Effect::Deferred(error.into_cause())
            }
        }
    }

    pub(crate) fn invalidate_command(&self, key: &Key<T>, committed: Option<Committed>) -> Command {
        self.invalidate_full(&self.client().full_key(key), committed)
    }

    /// Builds the command for a full key.
    pub(crate) fn invalidate_full(&self, full: &str, committed: Option<Committed>) -> Command {
        let (version, stamp) = committed.map_or((-1, 0), |it| (it.version.cast_signed(), it.stamp));
        let client = self.client();
        let prefix = client.prefix();
        let name: Key<T> = Key::new(full.strip_prefix(prefix).unwrap_or(full));
        let names = [
            full.to_owned(),
            client.full_key(&keys::edited(prefix, &name)),
            client.full_key(&keys::clock(prefix, &name)),
        ];
        let invalidate = client.script_on(&scripts::INVALIDATE, &names);
        let invalidate = invalidate.arg(version).arg(self.tombstone_ttl()).arg(stamp);
        invalidate.arg(self.edited_ttl()).arg(CLOCK_TTL_MS)
    }

    /// The TTL of a tombstone, in milliseconds.
    pub(crate) fn tombstone_ttl(&self) -> u64 {
        millis(self.state().tombstone_ttl())
    }

    /// The TTL of an `edited` key, in milliseconds.
    pub(crate) fn edited_ttl(&self) -> u64 {
        millis(self.state().edited_ttl())
    }

    /// The TTL of a `clock` key, in milliseconds.
    #[cfg(feature = "write-behind")]
    pub(crate) fn clock_ttl(&self) -> u64 {
        CLOCK_TTL_MS
    }
}
