//! Stores what was loaded: in Redis, and in this process for the grace period.

use std::{sync::Arc, time::Duration};

use crate::{
    Codec, Loaded, Namespace, Source,
    entry::{self, EntryMeta, EntryTags, MAX_VERSION},
    error::Error,
    fetch::{
        lease::Lease,
        load::{Load, LoadStart, LoadTask},
        load_outcome::LoadOutcome,
        lookup::Fill,
        probe::Miss,
    },
    local::cached_copy::CachedCopy,
    policy::jittered,
    redis::{Command, RedisError, Value},
};

/// A loaded value, and its entry.
struct NewEntry<T> {
    copy: CachedCopy<T>,
    /// The version in Redis; 0 if the time orders the entry.
    version: u64,
    /// `None` if it can't be cached.
    bytes: Option<Vec<u8>>,
}

impl<T, C> Namespace<T, C> {
    /// The version of an entry, and the time that orders it if the origin gives no version:
    /// one of them is 0. `None` if it can't be ordered among the others of the namespace.
    pub(crate) fn order(&self, version: Option<u64>, since: u64) -> Option<(u64, u64)> {
        let is_consistent = self.state().has_consistent_versions(version.is_some());
        match version {
            _ if !is_consistent => None,
            None => Some((0, since)),
            Some(version) if version < MAX_VERSION => Some((version, 0)),
            Some(_) => {
                self.state().log_version_out_of_range();
                None
            }
        }
    }
}

impl<T: Send + Sync + 'static, O: Load<T>, C: Codec<T>> LoadTask<T, O, C> {
    /// Stores what was loaded, and releases the lease.
    pub(super) async fn fill(
        &self,
        loaded: Loaded<T>,
        start: LoadStart,
        lease: Option<&Lease>,
    ) -> Result<LoadOutcome<T>, Error> {
        let tags = self.namespace.tags_since(&loaded.tags, start.since).await;
        let NewEntry { copy, version, bytes } = self.new_entry(loaded, start, tags.as_ref());
        let fill = match bytes {
            None if matches!(self.miss, Miss::Bypassed) => Fill::Bypassed,
            None => Fill::NotCached,
            Some(bytes) => {
                // Before the fill, whose own invalidation push would advance the epoch.
                self.namespace.remember(&self.key, &copy, start.epoch);
                self.store(&copy, version, bytes, lease).await
            }
        };
        match fill {
            Fill::Stored(_) => (),
            Fill::Superseded => self.namespace.shared().stale.remove(self.key.as_str()),
            _ => self.release(lease).await,
        }
        Ok(LoadOutcome {
            version: copy.version,
            value: copy.value,
            since: start.since,
            tag: self.tag,
            tags,
            source: Source::Database,
            ttl: fill.ttl(),
            fill,
            age: Duration::ZERO,
        })
    }

    fn new_entry(
        &self,
        loaded: Loaded<T>,
        start: LoadStart,
        tags: Option<&EntryTags>,
    ) -> NewEntry<T> {
        let exists = loaded.value.is_some();
        let order = match exists {
            true => self.namespace.order(loaded.version, start.since),
            false => Some((0, start.since)),
        };
        let (version, at) = order.unwrap_or_default();
        let meta = self.meta(exists, at, start, tags.cloned().unwrap_or_default());
        let value = loaded.value.map(Arc::new);
        let is_cachable = order.is_some() && tags.is_some() && !matches!(self.miss, Miss::Bypassed);
        let encode = |namespace: &Namespace<T, C>| {
            entry::encode(&namespace.codec, self.key.as_str(), version, value.as_deref(), &meta)
        };
        let bytes = is_cachable.then(|| encode(&self.namespace).ok()).flatten();
        let copy = CachedCopy {
            version: if exists { version.max(at) } else { 0 },
            value,
            created_at: meta.created_at,
            loaded_since: start.since,
            left: Some(meta.ttl),
            load_duration: meta.load_duration,
            tag: meta.tag,
            tags: meta.tags.clone(),
            bytes: bytes.as_ref().map_or(0, Vec::len),
            ..CachedCopy::default()
        };
        NewEntry { copy, version, bytes }
    }

    fn meta(&self, exists: bool, at: u64, start: LoadStart, tags: EntryTags) -> EntryMeta {
        let policy = &self.namespace.policy;
        let ttl = if exists { policy.ttl } else { policy.absent_ttl };
        let now = self.namespace.client().now();
        // Never shorter than by Redis's clock: the difference tells when the load began.
        let by_clock = Duration::from_micros((now / 1000 * 1000).saturating_sub(start.since));
        EntryMeta {
            created_at: now / 1000,
            at,
            ttl: jittered(ttl, policy.jitter, rand::random()),
            load_duration: start.at.elapsed().max(by_clock),
            tag: self.tag.unwrap_or_default(),
            tags,
        }
    }

    /// Stores the entry. Releases the lease if that was sent.
    async fn store(
        &self,
        copy: &CachedCopy<T>,
        version: u64,
        bytes: Vec<u8>,
        lease: Option<&Lease>,
    ) -> Fill {
        let (ttl, since) = (copy.left.unwrap_or_default(), copy.loaded_since);
        let command = self.namespace.store_command(&self.key, version, bytes, ttl, since);
        let Some(command) = command else { return Fill::TooLarge };
        match &self.miss {
            // Redis has just failed: the visitor must not wait for it twice.
            Miss::Redis(error) if !error.is_refused_write() => {
                return Fill::Failed(error.for_unsent());
            }
            _ if copy.value.is_none() && !self.admits_negative_entry(ttl) => {
                return Fill::NotCached;
            }
            _ => (),
        }
        match self.send(self.replacing_corrupt(command), lease).await {
            Ok(true) => Fill::Stored(ttl),
            Ok(false) => Fill::Superseded,
            Err(error) => Fill::Failed(error),
        }
    }

    fn admits_negative_entry(&self, ttl: Duration) -> bool {
        !ttl.is_zero() && self.namespace.shared().negative.admit(ttl)
    }

    /// Lets the script replace the corrupt entry that was found, which it might take for a
    /// newer one. That entry is older than this load.
    fn replacing_corrupt(&self, store: Command) -> Command {
        match &self.miss {
            Miss::Corrupt(unusable) if self.namespace.policy.versioned => {
                store.arg(unusable.length).arg(&*unusable.start)
            }
            _ => store,
        }
    }

    /// Sends the command, and releases the lease in the same round trip. Returns whether the
    /// entry was stored.
    async fn send(&self, store: Command, lease: Option<&Lease>) -> Result<bool, RedisError> {
        let (client, trace) = (self.namespace.client(), &self.namespace.trace);
        let reply = match lease {
            None => client.run::<Value>(store, trace).await?,
            Some(lease) => {
                let [stored, _] = client.run_all([store, lease.release_command()], trace).await?;
                stored?
            }
        };
        // The script replies 0 if a newer entry exists; a plain SET replies OK.
        let is_stored = reply != Value::Int(0);
        match &self.miss {
            Miss::Corrupt(unusable) if is_stored => self.report_replaced(unusable.what),
            _ if reply == Value::Int(2) => self.report_replaced("a value of another type"),
            _ => (),
        }
        Ok(is_stored)
    }

    fn report_replaced(&self, what: &'static str) {
        self.namespace.state().log_replaced(what);
        self.namespace.shared().observer.entry_replaced(self.namespace.name(), what);
    }
}

#[cfg(all(test, unix, feature = "test-util"))]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use tokio::time::sleep;

    use super::*;
    use crate::{Cache, CachePolicy, Source, test_util::TestRedis};

    const TOMBSTONE_TTL: Duration = Duration::from_millis(100);

    fn cells(redis: &TestRedis) -> Namespace<u64> {
        let policy = CachePolicy::ttl(Duration::from_secs(60)).hard_timeout(TOMBSTONE_TTL * 50);
        let cells = Cache::connect(&redis.url()).expect("a valid URL").namespace("cell", policy);
        cells.state().shorten_tombstones(TOMBSTONE_TTL);
        cells
    }

    /// The tombstone has expired by the time the load ends.
    #[tokio::test]
    async fn a_load_longer_than_a_tombstone_lives_brings_no_old_value_back() {
        let redis = TestRedis::start().unwrap();
        let (here, there) = (cells(&redis), cells(&redis));
        for way in ["key", "namespace", "tag"] {
            let other = there.clone();
            let load = async move {
                let _ = match way {
                    "key" => other.invalidate(way).await,
                    "namespace" => other.invalidate_all().await,
                    _ => other.cache().invalidate_tag("t").await,
                };
                // The tombstone has to expire.
                sleep(TOMBSTONE_TTL * 2).await;
                Ok::<_, Infallible>(Loaded::new(Some(1)).tag("t"))
            };
            let found = here.lookup(way, load).await.unwrap();
            assert_eq!((found.fill, found.source), (Fill::Superseded, Source::Database), "{way}");
            assert!(there.peek(way).await.is_none(), "{way}");
        }
    }
}
