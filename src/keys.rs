//! Every key hitrate keeps in Redis, and the type of what lives there.
//!
//! A key is made here and nowhere else, so this file is the map of the
//! keyspace. The store puts `HITRATE_KEY_PREFIX` before each.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use crate::model::{Product, Profile, UserId};

/// The name of a value in Redis, carrying the type of that value.
pub struct Key<T> {
    family: Family,
    name: String,
    value: PhantomData<fn() -> T>,
}

/// The first word of a key: what its statistics are gathered under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `page_hits`.
    Counter,
    /// `profile:{id}`.
    Profile,
    /// `product:{id}`.
    Product,
    /// `session:{digest}`.
    Session,
}

impl Family {
    /// Those whose values are copies of database rows.
    pub const CACHED: [Self; 2] = [Self::Profile, Self::Product];

    /// The word itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "page_hits",
            Self::Profile => "profile",
            Self::Product => "product",
            Self::Session => "session",
        }
    }
}

/// A value that may be cached. It knows its own key, so that a copy found
/// under another's key is recognised and refused.
pub trait Cached: Serialize + DeserializeOwned {
    /// The key this value belongs under.
    fn key(&self) -> Key<Self>;
}

/// `page_hits` — how often `/` was visited; a Redis integer.
pub fn page_hits() -> Key<u64> {
    Key::new(Family::Counter, "page_hits".to_owned())
}

/// `profile:{id}` — one profile as JSON, or the mark that there is none.
pub fn profile(id: &UserId) -> Key<Profile> {
    Key::new(Family::Profile, format!("profile:{id}"))
}

/// `product:{id}` — one product as JSON.
pub fn product(id: u32) -> Key<Product> {
    Key::new(Family::Product, format!("product:{id}"))
}

/// `session:{digest}` — one session as JSON. The digest stands in for the id
/// in the cookie, so whoever can list keys can't take over a session.
pub fn session<T>(digest: &str) -> Key<T> {
    Key::new(Family::Session, format!("session:{digest}"))
}

impl Cached for Profile {
    fn key(&self) -> Key<Self> {
        Key::new(Family::Profile, format!("profile:{}", self.user_id))
    }
}

impl Cached for Product {
    fn key(&self) -> Key<Self> {
        product(self.id)
    }
}

impl<T> Key<T> {
    fn new(family: Family, name: String) -> Self {
        Self { family, name, value: PhantomData }
    }

    /// What its statistics are gathered under.
    pub fn family(&self) -> Family {
        self.family
    }
}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<T> fmt::Display for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_key_names_the_profile() {
        let id: UserId = "123".parse().unwrap();
        assert_eq!(profile(&id).to_string(), "profile:123");
    }
}
