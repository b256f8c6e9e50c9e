//! Stores many values at once.

use std::time::Duration;

use rand::random;

use crate::{
    Codec, IntoLoaded, KeyPart, Namespace,
    entry::{self, EntryMeta},
    policy::jittered,
    redis::RedisError,
};

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Stores values in one round trip, for warming the cache. Returns how many were sent,
    /// which excludes values above the entry size limit. Newer copies are kept.
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
        let (client, since) = (self.client(), self.client().time_lower_bound());
        let tag = self.read_tag().await?;
        let created_at = client.now() / 1000;
        let store = |(id, value): (K, L)| {
            let (key, loaded) = (self.key(&id), value.into_loaded());
            let ttl = jittered(self.policy.ttl, self.policy.jitter, random());
            let meta = EntryMeta { created_at, ttl, tag, ..EntryMeta::default() };
            let (name, version) = (key.as_str(), loaded.version.unwrap_or(since));
            let value = loaded.value?;
            let entry = entry::encode(&self.codec, name, version, Some(&value), &meta).ok()?;
            self.store_command(&key, version, entry, ttl.max(Duration::from_millis(1)), since)
        };
        let sets: Vec<_> = values.into_iter().filter_map(store).collect();
        let count = sets.len();
        client.run_many(sets).await.map(|_| count)
    }
}
