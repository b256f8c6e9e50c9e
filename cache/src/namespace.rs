//! Namespaces and typed keys. The store puts its prefix before each key.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

/// A kind of value: the first word of its keys, and the label of its statistics.
/// Namespaces whose values are cached are registered with the
/// [`Engine`](crate::Engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Namespace(&'static str);

impl Namespace {
    /// Creates a namespace of this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// The key of a value in Redis, typed by the value.
pub struct Key<T> {
    namespace: Namespace,
    name: SmolStr,
    value: PhantomData<fn() -> T>,
}

/// A value that can be cached. It knows its own key, so that a copy found under
/// another key is recognised and rejected.
pub trait Cached: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The key this value belongs under.
    fn key(&self) -> Key<Self>;

    /// Whether the value belongs under `key`.
    fn belongs_under(&self, key: &Key<Self>) -> bool {
        self.key() == *key
    }
}

impl<T> Key<T> {
    /// Creates a key of this name, counted in the statistics of `namespace`.
    pub fn new(namespace: Namespace, name: impl Into<SmolStr>) -> Self {
        Self { namespace, name: name.into(), value: PhantomData }
    }

    /// `{namespace}:{id}`, the form of all keys of cached values.
    pub fn of(namespace: Namespace, id: &str) -> Self {
        Self::new(namespace, SmolStr::from_iter([namespace.name(), ":", id]))
    }

    /// The key without the store's prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The namespace whose statistics count this key.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::new(self.namespace, self.name.clone())
    }
}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<T> fmt::Display for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
