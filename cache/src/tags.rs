//! Tags: many copies are invalidated by one write, however many there are. Each copy
//! carries the generation that its tags had when it was loaded; a new generation makes it
//! out of date.

use std::time::Duration;

use crate::{
    Cache, Codec, Invalidated, Namespace, keys,
    local::cached_copy::CachedCopy,
    namespace::escaped,
    redis::{Command, Key, RedisError, Value, typed},
    scripts,
    time::millis,
    trace::Trace,
};

/// How long the tag of an entry is kept, at least. Entries whose tag is gone are out of
/// date.
const ENTRY_TAG_TTL: Duration = Duration::from_secs(60);

impl Cache {
    /// Invalidates all entries that have this tag, in every namespace, by one write;
    /// see [`Loaded::tag`](crate::Loaded::tag). Near caches drop everything they have.
    pub async fn invalidate_tag(&self, tag: &str) -> Invalidated {
        let key = keys::entry_tag(&escaped(tag));
        let outcome = self.start_generation(&key, ENTRY_TAG_TTL, &Trace::disabled()).await;
        self.shared().invalidate_everything();
        self.shared().observer.invalidated("", &outcome);
        outcome
    }

    /// Starts a new generation of a tag. If Redis fails, that is deferred.
    pub(crate) async fn start_generation(
        &self,
        tag: &Key<u64>,
        ttl: Duration,
        trace: &Trace,
    ) -> Invalidated {
        let client = &self.connection.client;
        let next = client.script(&scripts::NEXT_GENERATION, tag).arg(millis(ttl));
        match client.run_or_defer::<_, Value>(tag, next, None, trace).await {
            Ok(_) => Invalidated::Dropped,
            Err(error) => Invalidated::Deferred(error.into_cause()),
        }
    }
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Drops all copies of the namespace by one write, however many there are: each copy
    /// carries the generation of its namespace, and this starts a new one. O(1).
    pub async fn invalidate_all(&self) -> Invalidated {
        let tag = keys::tag(self.name());
        let outcome = self.cache().start_generation(&tag, Duration::ZERO, &self.trace).await;
        self.shared().invalidate_namespace(self.name());
        self.shared().observer.invalidated(self.name(), &outcome);
        outcome
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

    /// The generations of these tags, which are started if they have none. `since` becomes
    /// the first generation.
    pub(crate) async fn tag_generations(
        &self,
        tags: &[String],
        since: u64,
    ) -> Result<Vec<(String, u64)>, RedisError> {
        let (client, ttl) = (self.client(), self.policy.ttl + self.policy.grace);
        let tags: Vec<_> = tags.iter().map(|tag| escaped(tag)).collect();
        let command = |tag: &String| {
            let read = client.script(&scripts::TAG_GENERATION, &keys::entry_tag(tag));
            read.arg(since).arg(millis(ttl.max(ENTRY_TAG_TTL)))
        };
        let replies = client.try_each(tags.iter().map(command).collect()).await?;
        let generations: Result<Vec<u64>, _> =
            replies.into_iter().map(|reply| reply.and_then(typed)).collect();
        Ok(tags.into_iter().zip(generations?).collect())
    }

    /// Whether none of the copy's tags was invalidated since it was loaded. Asks Redis only
    /// if it has tags. If Redis fails, they count as current: the copy was found in it a
    /// moment ago.
    pub(crate) async fn has_current_tags(&self, copy: &CachedCopy<T>) -> bool {
        if copy.tags.is_empty() {
            return true;
        }
        let client = self.client();
        let names = copy.tags.iter().map(|(tag, _)| client.full_key(&keys::entry_tag(tag)));
        let get = client.command("MGET").arg(names.collect::<Vec<_>>());
        match client.run::<Vec<Option<u64>>>(get, &self.trace).await {
            Ok(now) => now.iter().zip(copy.tags.iter()).all(|(now, (_, then))| *now == Some(*then)),
            Err(_) => true,
        }
    }
}
