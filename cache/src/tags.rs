//! Tags: many copies are invalidated by one write, however many there are. Each copy
//! carries the generation that its tags had when it was loaded; a new generation makes it
//! out of date. So does the loss of a tag, which lives at least as long as its entries.

use std::time::Duration;

use crate::{
    Cache, Codec, Invalidated, Namespace,
    entry::EntryTags,
    invalidate::run_to_end,
    keys,
    namespace::escaped,
    redis::{Command, DeferError, Key, RedisError, Value, typed},
    scripts,
    time::{micros, millis},
    trace::Trace,
};

impl Cache {
    /// Invalidates all entries that have this tag, in every namespace, by one write;
    /// see [`Loaded::tag`](crate::Loaded::tag). Near caches drop everything they have. Goes on
    /// if the caller is cancelled.
    pub async fn invalidate_tag(&self, tag: &str) -> Invalidated {
        let (cache, key) = (self.clone(), keys::entry_tag(&escaped(tag)));
        run_to_end(async move {
            let ttl = cache.shared().max_tombstone_ttl();
            let started = cache.start_generation(&key, ttl, &Trace::disabled()).await;
            if matches!(started, Err(DeferError::LimitReached(_))) {
                cache.defer_everything();
            }
            cache.shared().invalidate_everything();
            let outcome = invalidated(started);
            cache.shared().observer.invalidated("", &outcome);
            outcome
        })
        .await
    }

    /// Starts a new generation of a tag. If Redis fails, that is deferred.
    async fn start_generation(
        &self,
        tag: &Key<u64>,
        ttl: Duration,
        trace: &Trace,
    ) -> Result<Value, DeferError> {
        let client = &self.connection.client;
        let next = client.script(&scripts::NEXT_GENERATION, tag).arg(millis(ttl));
        client.run_or_defer(tag, next, None, trace).await
    }

    /// Too many keys are deferred: until Redis is available no copy of the namespace is
    /// used, and then all are invalidated.
    pub(crate) fn defer_namespace(&self, name: &'static str) {
        let (client, tag) = (&self.connection.client, keys::tag(name));
        client.defer_unbounded(&tag, client.script(&scripts::NEXT_GENERATION, &tag).arg(0));
        self.shared().invalidate_namespace(name);
    }

    fn defer_everything(&self) {
        for name in self.shared().namespace_names() {
            self.defer_namespace(name);
        }
    }
}

fn invalidated(started: Result<Value, DeferError>) -> Invalidated {
    match started {
        Ok(_) => Invalidated::Dropped,
        Err(error) => Invalidated::Deferred(error.into_cause()),
    }
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Drops all copies of the namespace by one write, however many there are: each copy
    /// carries the generation of its namespace, and this starts a new one. O(1). Goes on if
    /// the caller is cancelled.
    pub async fn invalidate_all(&self) -> Invalidated {
        let (cache, name, trace) = (self.cache().clone(), self.name(), self.trace.clone());
        run_to_end(async move {
            let tag = keys::tag(name);
            let started = cache.start_generation(&tag, Duration::ZERO, &trace).await;
            if matches!(started, Err(DeferError::LimitReached(_))) {
                cache.defer_namespace(name);
            }
            cache.shared().invalidate_namespace(name);
            let outcome = invalidated(started);
            cache.shared().observer.invalidated(name, &outcome);
            outcome
        })
        .await
    }

    /// Starts the first generation of the namespace's tag, unless it has one. A generation
    /// is a time, so it never repeats, even if the tag was lost.
    pub(crate) fn start_tag_command(&self) -> Command {
        let set = self.client().command("SET").arg(&self.state().tag);
        set.arg(self.client().now()).arg("NX")
    }

    /// The generation of the namespace's tag, which is started if it has none.
    pub(crate) async fn read_tag(&self) -> Result<u64, RedisError> {
        let get = self.client().on("GET", &keys::tag(self.name()));
        let commands = [self.start_tag_command(), get];
        let [started, tag] = self.client().run_all(commands, &self.trace).await?;
        let tag: Option<u64> = tag.and_then(typed)?;
        // Without a tag, starting one failed.
        tag.map_or_else(|| started.and_then(typed), Ok)
    }

    /// The generations of these tags, which are started if they have none; `None` if one
    /// was invalidated after `since`, when a load or write began, or if they can't be read.
    pub(crate) async fn tags_since(&self, tags: &[String], since: u64) -> Option<EntryTags> {
        if tags.is_empty() {
            return Some(EntryTags::default());
        }
        let found = self.tag_generations(tags, since).await.ok()?;
        found.iter().all(|(_, generation)| *generation <= since).then(|| found.into())
    }

    /// The generations of these tags, which are started if they have none. A first one is so
    /// early that it concerns no load in progress.
    pub(crate) async fn tag_generations(
        &self,
        tags: &[String],
        since: u64,
    ) -> Result<Vec<(String, u64)>, RedisError> {
        let (client, ttl) = (self.client(), self.edited_ttl());
        let first = since.saturating_sub(micros(self.state().tombstone_ttl()));
        let tags: Vec<_> = tags.iter().map(|tag| escaped(tag)).collect();
        let command = |tag: &String| {
            let read = client.script(&scripts::TAG_GENERATION, &keys::entry_tag(tag));
            read.arg(first).arg(ttl)
        };
        let commands: Vec<_> = tags.iter().map(command).collect();
        let replies = client.run_list(commands, &self.trace).await?;
        let generations: Result<Vec<u64>, _> =
            replies.into_iter().map(|reply| reply.and_then(typed)).collect();
        Ok(tags.into_iter().zip(generations?).collect())
    }

    /// Whether none of these tags was invalidated since they were read. Asks Redis only if
    /// there are any.
    ///
    /// # Errors
    /// Returns the [`RedisError`]; `Outdated` if an invalidation of one is deferred.
    pub(crate) async fn are_current(&self, tags: &EntryTags) -> Result<bool, RedisError> {
        if tags.is_empty() {
            return Ok(true);
        }
        let client = self.client();
        let keys: Vec<_> = tags.iter().map(|(tag, _)| keys::entry_tag(tag)).collect();
        let names: Vec<_> = keys.iter().map(|key| client.full_key(key)).collect();
        let get = client.command("MGET").arg(names);
        let now = client.run::<Vec<Option<u64>>>(get, &self.trace).await?;
        if keys.iter().any(|key| client.is_deferred(key)) {
            return Err(RedisError::Outdated);
        }
        Ok(now.iter().zip(tags.iter()).all(|(now, (_, then))| *now == Some(*then)))
    }
}
