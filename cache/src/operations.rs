//! The operations on the values of a namespace.

use std::{sync::Arc, time::Instant};

use crate::{
    Codec, Error, IntoLoaded, Invalidated, KeyPart, Lookup, Namespace, Written,
    error::BoxError,
    fetch::{
        load::{Load, OneShot},
        lookup::Forward,
    },
    invalidate::run_to_end,
    observer::LookedUp,
    redis::Key,
};

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// The value of this id: a copy, or loaded by awaiting `load`. `None` if there is no
    /// such value.
    ///
    /// `load` is awaited at most once, and not at all on a hit. It runs in a task of its
    /// own: if the caller is cancelled, it goes on for others that wait for it. A cache that
    /// is off or bypassed awaits it in the caller's. For retries after transient errors, use a
    /// [`loader`](Self::loader).
    ///
    /// # Errors
    /// Returns the origin's error, a timeout or an overload, unless a stale copy could be
    /// served instead. A failure of Redis is never an error: it is a miss.
    pub async fn get<L, E>(
        &self,
        id: impl KeyPart,
        load: impl Future<Output = Result<L, E>> + Send + 'static,
    ) -> Result<Option<Arc<T>>, Error>
    where
        L: IntoLoaded<T> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.lookup(id, load).await.map(|lookup| lookup.value)
    }

    /// As [`Self::get`], with everything that is known about the answer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn lookup<L, E>(
        &self,
        id: impl KeyPart,
        load: impl Future<Output = Result<L, E>> + Send + 'static,
    ) -> Result<Lookup<T>, Error>
    where
        L: IntoLoaded<T> + 'static,
        E: Into<BoxError> + 'static,
    {
        let key = self.key(&id);
        self.look_up(&key, OneShot::new(load)).await
    }

    /// The fresh copy of this id, if there is one. Never loads.
    pub async fn peek(&self, id: impl KeyPart) -> Option<Lookup<T>> {
        let (key, start) = (self.key(&id), Instant::now());
        let mut lookup = self.look_for_copy(&key).await?;
        lookup.elapsed = start.elapsed();
        Some(lookup)
    }

    /// Changes the value at its origin by awaiting `write`, then drops or replaces the
    /// copy, as the policy says. `write` returns the new value, or `None` if there is no
    /// such value.
    ///
    /// The write and what follows run to completion even if the caller is cancelled. From
    /// the acknowledgement on, no reader in this process gets the older value, and no
    /// reader in another process once Redis is updated.
    ///
    /// # Errors
    /// Returns the origin's error, or a timeout. The copy is then dropped as well, as the
    /// write may have happened.
    pub async fn write<L, E>(
        &self,
        id: impl KeyPart,
        write: impl Future<Output = Result<L, E>> + Send + 'static,
    ) -> Result<Written<T>, Error>
    where
        L: IntoLoaded<T> + 'static,
        E: Into<BoxError> + 'static,
    {
        let key = self.key(&id);
        self.write_once(key, OneShot::new(write)).await
    }

    /// Drops the copy of one value; the next lookup loads it. A load in progress does not
    /// bring the old value back. Goes on if the caller is cancelled.
    pub async fn invalidate(&self, id: impl KeyPart) -> Invalidated {
        let (namespace, key) = (self.clone(), self.key(&id));
        run_to_end(async move {
            let outcome = namespace.invalidate_key(&key).await;
            namespace.shared().observer.invalidated(namespace.name(), &outcome);
            outcome
        })
        .await
    }

    /// Looks up a key, and reports the lookup to the observer.
    #[expect(clippy::manual_async_fn, reason = "an async fn would store the origin twice")]
    pub(crate) fn look_up<O: Load<T>>(
        &self,
        key: &Key<T>,
        origin: O,
    ) -> impl Future<Output = Result<Lookup<T>, Error>> + Send {
        async move {
            let start = Instant::now();
            let mut lookup = self.read(key, origin).await?;
            lookup.elapsed = start.elapsed();
            self.shared().observer.looked_up(&LookedUp {
                namespace: self.name(),
                source: lookup.source,
                fill: &lookup.fill,
                is_bypassed: lookup.forward == Forward::Bypass,
                is_collapsed: lookup.collapsed,
                elapsed: lookup.elapsed,
            });
            Ok(lookup)
        }
    }
}
