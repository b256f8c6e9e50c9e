//! Typed keys. The client puts its prefix before each.

use std::{fmt, marker::PhantomData};

use smol_str::SmolStr;

/// The name of a key in Redis, without the client's prefix, typed by its value.
pub struct Key<T = ()> {
    name: SmolStr,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Creates a key of this name.
    pub fn new(name: impl Into<SmolStr>) -> Self {
        Self { name: name.into(), value: PhantomData }
    }

    /// `{first}:{rest}`
    pub fn of(first: &str, rest: &str) -> Self {
        Self::new(SmolStr::from_iter([first, ":", rest]))
    }

    /// The name, without the client's prefix.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::new(self.name.clone())
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
