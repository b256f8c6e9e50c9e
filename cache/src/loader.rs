//! Origins that are bound once, and may be asked again.

use std::{fmt, marker::PhantomData, sync::Arc};

use crate::{
    CachePolicy, Codec, Json, KeyPart, Lookup, Namespace,
    error::{BoxError, Error},
    fetch::load::{Load, LoadFailure},
    loaded::{IntoLoaded, Loaded},
    trace::Trace,
};

/// A system of record, from which the values of a namespace are loaded by their key.
///
/// A function or closure that takes the key and returns a future is one. Implement the
/// trait to retry transient errors.
pub trait Origin<K, T>: Send + Sync + 'static {
    /// What a load returns; see [`IntoLoaded`].
    type Loaded: IntoLoaded<T>;
    /// The error of a load.
    type Error: Into<BoxError> + Send;

    /// Loads the value of this key.
    fn load(&self, key: K) -> impl Future<Output = Result<Self::Loaded, Self::Error>> + Send;

    /// Whether the same load may succeed a moment later. It is then retried twice, with
    /// backoff, within 150 ms and the hard timeout.
    fn is_transient(&self, error: &Self::Error) -> bool {
        let _ = error;
        false
    }
}

impl<K, T, L, E, F, Fut> Origin<K, T> for F
where
    L: IntoLoaded<T>,
    E: Into<BoxError> + Send,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<L, E>> + Send,
{
    type Loaded = L;
    type Error = E;

    fn load(&self, key: K) -> impl Future<Output = Result<L, E>> + Send {
        self(key)
    }
}

/// A namespace with its origin; see [`Namespace::loader`]. Cloning is cheap.
pub struct Loader<K, T, O, C = Json> {
    pub(crate) namespace: Namespace<T, C>,
    pub(crate) origin: Arc<O>,
    key: PhantomData<fn(K)>,
}

impl<T: Send + Sync + 'static, C: Codec<T>> Namespace<T, C> {
    /// Binds the origin of the namespace: a function of the key, or an [`Origin`].
    pub fn loader<K, O: Origin<K, T>>(&self, origin: O) -> Loader<K, T, O, C> {
        Loader::bind(self, &Arc::new(origin))
    }
}

impl<K, T, O, C: Clone> Clone for Loader<K, T, O, C> {
    fn clone(&self) -> Self {
        Self::bind(&self.namespace, &self.origin)
    }
}

impl<K, T, O, C> fmt::Debug for Loader<K, T, O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl<K, T, O, C: Clone> Loader<K, T, O, C> {
    pub(crate) fn bind(namespace: &Namespace<T, C>, origin: &Arc<O>) -> Self {
        let (namespace, origin) = (namespace.clone(), Arc::clone(origin));
        Self { namespace, origin, key: PhantomData }
    }

    /// The same origin under another policy.
    #[must_use]
    pub fn with(&self, policy: CachePolicy) -> Self {
        let (namespace, origin) = (self.namespace.with(policy), Arc::clone(&self.origin));
        Self { namespace, origin, key: PhantomData }
    }

    /// Records the steps of the operations on this handle.
    #[must_use]
    pub fn traced(self, trace: &Trace) -> Self {
        Self { namespace: self.namespace.traced(trace), ..self }
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace<T, C> {
        &self.namespace
    }
}

impl<K, T, O, C> Loader<K, T, O, C>
where
    K: KeyPart + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
    O: Origin<K, T>,
    C: Codec<T>,
{
    /// The value of this key: a copy, or loaded from the origin. `None` if there is no
    /// such value.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub async fn get(&self, key: K) -> Result<Option<Arc<T>>, Error> {
        self.lookup(key).await.map(|lookup| lookup.value)
    }

    /// As [`Self::get`], with everything that is known about the answer.
    ///
    /// # Errors
    /// As [`Namespace::get`].
    pub async fn lookup(&self, key: K) -> Result<Lookup<T>, Error> {
        let name = self.namespace.key(&key);
        self.namespace.look_up(&name, self.bound(key)).await
    }

    pub(crate) fn bound(&self, key: K) -> BoundOrigin<K, O> {
        BoundOrigin { origin: Arc::clone(&self.origin), key }
    }
}

/// An origin and the key to load.
pub(crate) struct BoundOrigin<K, O> {
    pub(crate) origin: Arc<O>,
    pub(crate) key: K,
}

impl<K: Clone, O> Clone for BoundOrigin<K, O> {
    fn clone(&self) -> Self {
        Self { origin: Arc::clone(&self.origin), key: self.key.clone() }
    }
}

impl<K: Clone + Send + Sync + 'static, T, O: Origin<K, T>> Load<T> for BoundOrigin<K, O> {
    async fn load(&self) -> Result<Loaded<T>, LoadFailure> {
        match self.origin.load(self.key.clone()).await {
            Ok(loaded) => Ok(loaded.into_loaded()),
            Err(error) => {
                let is_transient = self.origin.is_transient(&error);
                Err(LoadFailure { error: Error::from_origin(error), is_transient })
            }
        }
    }
}
