//! Every key hitrate keeps in Redis, and the type of what lives there.
//!
//! A key is made here and nowhere else, so this file is the map of the
//! keyspace. The store puts `HITRATE_KEY_PREFIX` before each.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use smol_str::SmolStr;

use crate::{
    figures::digits,
    model::{Product, Profile, Trial, UserId},
};

/// The name of a value in Redis, carrying the type of that value.
pub struct Key<T> {
    family: Family,
    name: SmolStr,
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
    /// `trial:{name}`.
    Trial,
    /// `lease:{key}`.
    Lease,
    /// `tag:{family}`.
    Tag,
    /// `edited:{key}`.
    Edited,
    /// `write-behind` and its streams.
    WriteBehind,
    /// `demo:{visitor and demo}:{name}`.
    Demo,
}

impl Family {
    /// Those whose values are copies of database rows.
    pub const CACHED: [Self; 2] = [Self::Profile, Self::Product];

    /// The tag of everything in this family: a name that a person may type.
    pub fn tagged(name: &str) -> Option<Self> {
        Self::CACHED.into_iter().find(|family| family.name() == name)
    }

    /// The word itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "page_hits",
            Self::Profile => "profile",
            Self::Product => "product",
            Self::Session => "session",
            Self::Trial => "trial",
            Self::Lease => "lease",
            Self::Tag => "tag",
            Self::Edited => "edited",
            Self::WriteBehind => "write-behind",
            Self::Demo => "demo",
        }
    }
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

/// `page_hits` — how often `/` was visited; a Redis integer.
pub fn page_hits() -> Key<u64> {
    Key::new(Family::Counter, SmolStr::new_static("page_hits"))
}

/// `profile:{id}` — one profile as JSON, or the mark that there is none.
pub fn profile(id: &UserId) -> Key<Profile> {
    Key::new(Family::Profile, SmolStr::from_iter(["profile:", id.as_str()]))
}

/// `product:{id}` — one product as JSON.
pub fn product(id: u32) -> Key<Product> {
    Key::new(Family::Product, SmolStr::from_iter(["product:", &digits(id.into())]))
}

/// `session:{digest}` — one session as JSON. The digest stands in for the id
/// in the cookie, so whoever can list keys can't take over a session.
pub fn session<T>(digest: &str) -> Key<T> {
    Key::new(Family::Session, format!("session:{digest}"))
}

/// `trial:{name}` — the one cold key that an experiment asks for.
pub fn trial(name: &str) -> Key<Trial> {
    Key::new(Family::Trial, format!("trial:{name}"))
}

/// `lease:{key}` — who loads the value of this key at the moment: a random
/// token, with a TTL.
pub fn lease<T>(key: &Key<T>) -> Key<u64> {
    Key::new(Family::Lease, format!("lease:{}", key.name))
}

/// `tag:{family}` — which generation of the family's copies is good; a number.
pub fn tag(family: Family) -> Key<u64> {
    Key::new(Family::Tag, SmolStr::from_iter(["tag:", family.name()]))
}

/// `edited:{key}` — the version below which no copy past its TTL is served; a
/// number, kept as long as any process may hold such a copy.
pub fn edited<T>(key: &Key<T>) -> Key<u64> {
    Key::new(Family::Edited, format!("edited:{}", key.name))
}

/// `write-clock` — the latest stamp of a write, in microseconds: stamps don't
/// go back when a clock does.
pub fn write_clock() -> Key<u64> {
    Key::new(Family::WriteBehind, SmolStr::new_static("write-clock"))
}

/// `write-behind` — the stream of writes that the database does not have yet.
pub fn write_behind() -> Key<()> {
    Key::new(Family::WriteBehind, SmolStr::new_static("write-behind"))
}

/// `write-behind:aside` — the stream of writes that the database refused for good.
pub fn write_behind_aside() -> Key<()> {
    Key::new(Family::WriteBehind, SmolStr::new_static("write-behind:aside"))
}

/// `demo:{tag}:name` — what a visitor plays with; `name` is what the documents
/// call it, and the braces are part of the key: a hash tag.
pub fn demo(tag: &str, name: &str) -> Key<()> {
    Key::new(Family::Demo, format!("demo:{{{tag}}}:{name}"))
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

impl Cached for Trial {
    fn key(&self) -> Key<Self> {
        trial(&self.name)
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::new(self.family, self.name.clone())
    }
}

impl<T> Key<T> {
    fn new(family: Family, name: impl Into<SmolStr>) -> Self {
        Self { family, name: name.into(), value: PhantomData }
    }

    /// The name, without the prefix.
    pub fn as_str(&self) -> &str {
        &self.name
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
