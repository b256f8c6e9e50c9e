//! Writes to the origin, then drops or replaces the copy.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::timeout};

use crate::{
    Codec, Loaded, Namespace, OnWrite,
    entry::{self, EntryMeta, MAX_VERSION},
    error::Error,
    fetch::load::{Load, LoadFailure},
    keys,
    policy::jittered,
    redis::{Command, Key, Value},
    scripts,
    time::millis,
    write::{
        supersede::Committed,
        written::{Effect, Written},
    },
};

type Outcome<T> = Result<Loaded<T>, LoadFailure>;

/// What is read before a write.
#[derive(Clone, Copy)]
struct WriteStart {
    /// A time before the write began, in microseconds by Redis's clock.
    began: u64,
    /// The generation of the namespace's tag; `None` if the new value is not stored.
    tag: Option<u64>,
}

/// A write whose origin gave it a version.
fn committed(version: Option<u64>) -> Option<Committed> {
    let version = version.filter(|version| *version < MAX_VERSION)?;
    Some(Committed { version, stamp: 0 })
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Writes in a task of its own, which goes on if the caller is cancelled.
    pub(crate) async fn write_once<O: Load<T>>(
        &self,
        key: Key<T>,
        origin: O,
    ) -> Result<Written<T>, Error> {
        let namespace = self.clone();
        let writing = tokio::spawn(async move { namespace.write_to_end(key, origin).await });
        writing.await.unwrap_or(Err(Error::Aborted))
    }

    async fn write_to_end<O: Load<T>>(self, key: Key<T>, origin: O) -> Result<Written<T>, Error> {
        let start = self.start_write().await;
        let mut writing = tokio::spawn(async move { origin.load().await });
        match timeout(self.policy.hard_timeout, &mut writing).await {
            Ok(outcome) => self.finish_write(&key, start, outcome.ok()).await,
            Err(_) => {
                // The write may have happened, or still will.
                let _ = self.supersede(&key, None).await;
                self.finish_when_written(key, start, writing);
                Err(Error::TimedOut)
            }
        }
    }

    fn finish_when_written(self, key: Key<T>, start: WriteStart, writing: JoinHandle<Outcome<T>>) {
        tokio::spawn(async move {
            let outcome = writing.await.ok();
            let _ = self.finish_write(&key, start, outcome).await;
        });
    }

    async fn start_write(&self) -> WriteStart {
        let tag = match self.policy.on_write {
            OnWrite::Store if !self.policy.is_bypassed => self.read_tag().await.ok(),
            _ => None,
        };
        // After the first contact with Redis, by its clock.
        WriteStart { began: self.client().time_lower_bound(), tag }
    }

    /// Drops or replaces the copy. An outcome of `None` is a panic of the write.
    async fn finish_write(
        &self,
        key: &Key<T>,
        start: WriteStart,
        outcome: Option<Outcome<T>>,
    ) -> Result<Written<T>, Error> {
        let loaded = match outcome {
            Some(Ok(loaded)) => loaded,
            failed => {
                let _ = self.supersede(key, None).await;
                return Err(failed.map_or(Error::Aborted, |it| match it {
                    Err(failure) => failure.error,
                    Ok(_) => Error::Aborted,
                }));
            }
        };
        let version = loaded.version;
        let effect = match self.store_written(key, &loaded, start).await {
            true => Effect::Stored,
            false => self.supersede(key, committed(version)).await,
        };
        Ok(Written { value: loaded.value.map(Arc::new), version, effect })
    }

    /// Stores the new value. Returns whether it did.
    async fn store_written(&self, key: &Key<T>, loaded: &Loaded<T>, start: WriteStart) -> bool {
        let (Some(value), Some(tag)) = (&loaded.value, start.tag) else { return false };
        if self.order(loaded.version, start.began).is_none() {
            return false;
        }
        let Some(tags) = self.tags_since(&loaded.tags, start.began).await else { return false };
        let ttl = jittered(self.policy.ttl, self.policy.jitter, rand::random());
        let created_at = self.client().now() / 1000;
        let meta = EntryMeta { created_at, ttl, tag, tags, ..EntryMeta::default() };
        match committed(loaded.version) {
            Some(committed) => self.replace(key, value, committed, &meta, start.began).await,
            None => self.store_by_time(key, value, &meta, start.began).await,
        }
    }

    async fn store_by_time(&self, key: &Key<T>, value: &T, meta: &EntryMeta, began: u64) -> bool {
        let Some(command) = self.store_written_command(key, value, meta, began) else {
            return false;
        };
        let stored = self.client().run::<i64>(command, &self.trace).await;
        self.shared().invalidate_local(key.as_str());
        stored == Ok(1)
    }

    /// Invalidates older copies and stores the new one, in one round trip. Returns
    /// whether both succeeded, and nothing was newer.
    pub(crate) async fn replace(
        &self,
        key: &Key<T>,
        value: &T,
        committed: Committed,
        meta: &EntryMeta,
        loaded_since: u64,
    ) -> bool {
        let (name, version) = (key.as_str(), committed.version);
        let entry = entry::encode(&self.codec, name, version, Some(value), meta).ok();
        let store =
            entry.and_then(|entry| self.store_command(key, version, entry, meta.ttl, loaded_since));
        let Some(store) = store else { return false };
        let invalidate = self.invalidate_command(key, Some(committed));
        let stored = self.client().run_all([invalidate, store], &self.trace).await;
        self.shared().invalidate_local(name);
        matches!(stored, Ok([Ok(_), Ok(stored)]) if stored != Value::Int(0))
    }

    fn store_written_command(
        &self,
        key: &Key<T>,
        value: &T,
        meta: &EntryMeta,
        began: u64,
    ) -> Option<Command> {
        let tail = entry::encode_tail(&self.codec, key.as_str(), value, meta).ok()?;
        if !self.shared().admits_entry(self.name(), tail.len() + entry::MAX_HEAD_BYTES) {
            return None;
        }
        let client = self.client();
        let names = [client.full_key(key), client.full_key(&keys::edited(client.prefix(), key))];
        let store = client.script_on(&scripts::STORE_WRITTEN, &names).arg(began).arg(tail);
        Some(store.arg(millis(meta.ttl).max(1)).arg(self.tombstone_ttl()).arg(self.edited_ttl()))
    }

    /// Builds the command that stores an entry. `version` is 0 if the time orders it;
    /// `loaded_since` is when the load began, in microseconds by Redis's clock. Returns
    /// `None`, and counts it, if the entry exceeds the size limit.
    pub(crate) fn store_command(
        &self,
        key: &Key<T>,
        version: u64,
        entry: Vec<u8>,
        ttl: Duration,
        loaded_since: u64,
    ) -> Option<Command> {
        let (ttl, client) = (millis(ttl).max(1), self.client());
        let admitted = self.shared().admits_entry(self.name(), entry.len());
        admitted.then(|| match self.policy.versioned {
            true => {
                let fill = client.script(&scripts::FILL, key);
                let fill = fill.arg(version).arg(entry).arg(ttl).arg(loaded_since);
                fill.arg(self.tombstone_ttl())
            }
            false => client.on("SET", key).arg(entry).arg("PX").arg(ttl),
        })
    }
}
