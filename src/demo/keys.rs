//! All Redis keys of the application, each with the type of its value.
//!
//! No other module builds keys, so this file is the map of the keyspace. The cache
//! adds keys for leases, tags, edited versions and the write-behind stream. The store
//! prepends `HITRATE_KEY_PREFIX`.

use hitrate_cache::{Cached, Key, Namespace};
use smol_str::SmolStr;

use crate::demo::model::{Product, Profile, TrialProduct, UserId};

/// Namespace of `profile:{id}`.
pub const PROFILE: Namespace = Namespace::new("profile");
/// Namespace of `product:{id}`.
pub const PRODUCT: Namespace = Namespace::new("product");
/// Namespace of `trial:{name}`.
pub const TRIAL: Namespace = Namespace::new("trial");
const COUNTER: Namespace = Namespace::new("page_hits");
const SESSION: Namespace = Namespace::new("session");
const DEMO: Namespace = Namespace::new("demo");

/// Namespaces whose values are copies of database rows.
pub const CACHED: [Namespace; 2] = [PROFILE, PRODUCT];

/// The namespace in [`CACHED`] of this name.
pub fn cached(name: &str) -> Option<Namespace> {
    CACHED.into_iter().find(|namespace| namespace.name() == name)
}

/// `page_hits` — number of visits to `/`, as a Redis integer.
pub fn page_hits() -> Key<u64> {
    Key::new(COUNTER, SmolStr::new_static("page_hits"))
}

/// `profile:{id}` — one profile as JSON, or the absence of one.
pub fn profile(id: &UserId) -> Key<Profile> {
    Key::of(PROFILE, id.as_str())
}

/// `product:{id}` — one product as JSON.
pub fn product(id: u32) -> Key<Product> {
    Key::of(PRODUCT, &id.to_string())
}

/// `session:{digest}` — one session as JSON. The key contains a digest of the session
/// id, not the id: listing keys does not allow hijacking a session.
pub fn session<T>(digest: &str) -> Key<T> {
    Key::of(SESSION, digest)
}

/// `trial:{name}` — the cold key that the visitors of a stampede look up.
pub fn trial(name: &str) -> Key<TrialProduct> {
    Key::of(TRIAL, name)
}

/// `demo:{tag}:name` — a visitor's own key on the structures and patterns pages. The
/// braces are part of the key: they mark a hash tag. `name` is the tutorial's name.
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

impl Cached for TrialProduct {
    fn key(&self) -> Key<Self> {
        trial(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_key_contains_the_id() {
        let id: UserId = "123".parse().unwrap();
        assert_eq!(profile(&id).to_string(), "profile:123");
    }
}
