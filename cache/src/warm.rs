//! Stores many values at once.

use std::collections::{BTreeMap, BTreeSet};

use rand::random;

use crate::{
    Codec, IntoLoaded, KeyPart, Loaded, Namespace,
    entry::{self, EntryMeta, EntryTags},
    policy::jittered,
    redis::{Command, Key, RedisError},
};

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Stores values, for warming the cache, in one round trip after that for the tags.
    /// Returns how many were sent, which excludes values above the entry size limit. Newer
    /// copies are kept.
    ///
    /// Values without a version count as loaded now; write them only if nothing changes
    /// them meanwhile.
    ///
    /// # Errors
    /// Returns a [`RedisError`] if Redis is unreachable or rejects a command.
    pub async fn put_all<K: KeyPart, L: IntoLoaded<T>>(
        &self,
        values: impl IntoIterator<Item = (K, L)>,
    ) -> Result<usize, RedisError> {
        if self.shared().is_off {
            return Ok(0);
        }
        let tag = self.read_tag().await?;
        // After the first contact with Redis, by its clock.
        let since = self.client().time_lower_bound();
        let values: Vec<_> = values.into_iter().map(|(id, it)| (id, it.into_loaded())).collect();
        let names: BTreeSet<_> = values.iter().flat_map(|(_, it)| it.tags.clone()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let generations: BTreeMap<_, _> =
            names.iter().cloned().zip(self.tag_generations(&names, since).await?).collect();
        let store = |(id, loaded): (K, Loaded<T>)| {
            let tags: EntryTags = loaded.tags.iter().map(|tag| generations[tag].clone()).collect();
            self.put_command(&self.key(&id), loaded, since, EntryMeta { tag, tags, ..self.now() })
        };
        let sets: Vec<_> = values.into_iter().filter_map(store).collect();
        let count = sets.len();
        self.client().run_many(sets).await.map(|_| count)
    }

    /// The metadata of a value that counts as loaded now.
    fn now(&self) -> EntryMeta {
        let ttl = jittered(self.policy.ttl, self.policy.jitter, random());
        EntryMeta { created_at: self.client().now() / 1000, ttl, ..EntryMeta::default() }
    }

    fn put_command(
        &self,
        key: &Key<T>,
        loaded: Loaded<T>,
        since: u64,
        meta: EntryMeta,
    ) -> Option<Command> {
        let value = loaded.value?;
        let (version, at) = self.order(loaded.version, since)?;
        let meta = EntryMeta { at, ..meta };
        let entry = entry::encode(&self.codec, key.as_str(), version, Some(&value), &meta).ok()?;
        self.store_command(key, version, entry, meta.ttl, since)
    }
}
