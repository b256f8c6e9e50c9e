//! Every key that the application keeps in Redis, and the type of what lives
//! there. The cache adds its own beside them (leases, tags, marks of edits, the
//! write-behind stream); the store puts `HITRATE_KEY_PREFIX` before each.
//!
//! A key is made here and nowhere else, so this file is the map of the keyspace.

use hitrate_cache::{Cached, Key, Namespace};
use smol_str::SmolStr;

use crate::demo::model::{Product, Profile, Trial, UserId};

/// `profile:{id}`.
pub const PROFILE: Namespace = Namespace::new("profile");
/// `product:{id}`.
pub const PRODUCT: Namespace = Namespace::new("product");
/// `trial:{name}`.
pub const TRIAL: Namespace = Namespace::new("trial");
const COUNTER: Namespace = Namespace::new("page_hits");
const SESSION: Namespace = Namespace::new("session");
const DEMO: Namespace = Namespace::new("demo");

/// Those whose values are copies of database rows.
pub const CACHED: [Namespace; 2] = [PROFILE, PRODUCT];

/// The namespace of this name among [`CACHED`]: a name that a person may type.
pub fn cached(name: &str) -> Option<Namespace> {
    CACHED.into_iter().find(|namespace| namespace.name() == name)
}

/// `page_hits` — how often `/` was visited; a Redis integer.
pub fn page_hits() -> Key<u64> {
    Key::new(COUNTER, SmolStr::new_static("page_hits"))
}

/// `profile:{id}` — one profile as JSON, or the mark that there is none.
pub fn profile(id: &UserId) -> Key<Profile> {
    Key::of(PROFILE, id.as_str())
}

/// `product:{id}` — one product as JSON.
pub fn product(id: u32) -> Key<Product> {
    Key::of(PRODUCT, &id.to_string())
}

/// `session:{digest}` — one session as JSON. The digest stands in for the id
/// in the cookie, so whoever can list keys can't take over a session.
pub fn session<T>(digest: &str) -> Key<T> {
    Key::of(SESSION, digest)
}

/// `trial:{name}` — the one cold key that an experiment asks for.
pub fn trial(name: &str) -> Key<Trial> {
    Key::of(TRIAL, name)
}

/// `demo:{tag}:name` — what a visitor plays with; `name` is what the documents
/// call it, and the braces are part of the key: a hash tag.
pub fn demo(tag: &str, name: &str) -> Key<()> {
    Key::new(DEMO, format!("demo:{{{tag}}}:{name}"))
}

impl Cached for Profile {
    fn key(&self) -> Key<Self> {
        Key::of(PROFILE, &self.user_id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_key_names_the_profile() {
        let id: UserId = "123".parse().unwrap();
        assert_eq!(profile(&id).to_string(), "profile:123");
    }
}
