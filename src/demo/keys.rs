//! All Redis keys of the application, each with the type of its value.
//!
//! No other module builds keys, so this file is the map of the keyspace. The cache
//! adds keys for leases, tags, edited versions, write clocks and the write-behind stream.
//! The client prepends `HITRATE_KEY_PREFIX`.

use hitrate_cache::redis::Key;
use smol_str::SmolStr;

/// Namespace of `profile:{id}`: one profile as JSON, or the absence of one.
pub const PROFILE: &str = "profile";
/// Namespace of `product:{id}`: one product as JSON.
pub const PRODUCT: &str = "product";
/// Namespace of `trial:{name}`: the product that the visitors of a stampede look up.
pub const TRIAL: &str = "trial";

/// Namespaces whose values are copies of database rows.
pub const CACHED: [&str; 2] = [PROFILE, PRODUCT];

/// `page_hits` — number of visits to `/`, as a Redis integer.
pub fn page_hits() -> Key<u64> {
    Key::new(SmolStr::new_static("page_hits"))
}

/// `session:{digest}` — one session as JSON. The key contains a digest of the session
/// id, not the id: listing keys does not allow hijacking a session.
pub fn session<T>(digest: &str) -> Key<T> {
    Key::of("session", digest)
}

/// `demo:{tag}:name` — a visitor's own key on the structures and patterns pages. The
/// braces are part of the key: they mark a hash tag. `name` is the tutorial's name.
pub fn demo(tag: &str, name: &str) -> Key {
    Key::new(format!("demo:{{{tag}}}:{name}"))
}
