//! Namespaces and keys: the name of a value in Redis, carrying the type of that
//! value. The store puts its prefix before each.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

/// A kind of values: the first word of their keys, and the name under which
/// their statistics are gathered. Those whose values are cached are registered
/// with the [`Engine`](crate::Engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Namespace(&'static str);

impl Namespace {
    /// A namespace of this name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The word itself.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// The name of a value in Redis, carrying the type of that value.
pub struct Key<T> {
    namespace: Namespace,
    name: SmolStr,
    value: PhantomData<fn() -> T>,
}

/// A value that may be cached. It knows its own key, so that a copy found
/// under another's key is recognised and refused.
pub trait Cached: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The key this value belongs under.
    fn key(&self) -> Key<Self>;

    /// Whether it belongs under this one.
    fn belongs_under(&self, key: &Key<Self>) -> bool {
        self.key() == *key
    }
}

impl<T> Key<T> {
    /// A key of this name, whose statistics are those of `namespace`.
    pub fn new(namespace: Namespace, name: impl Into<SmolStr>) -> Self {
        Self { namespace, name: name.into(), value: PhantomData }
    }

    /// `{namespace}:{id}`, the form of all keys of cached values.
    pub fn of(namespace: Namespace, id: &str) -> Self {
        Self::new(namespace, SmolStr::from_iter([namespace.name(), ":", id]))
    }

    /// The name, without the prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// What its statistics are gathered under.
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
