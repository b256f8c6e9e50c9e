//! Keys that the cache uses itself, besides those of the values.
//!
//! Keys that belong to one copy have the copy's whole key as their hash tag, and so share
//! its slot of a cluster (redis.io/docs: "Redis cluster specification").

use smol_str::SmolStr;

use crate::redis::Key;

/// First words of keys that no namespace may use.
pub const RESERVED: [&str; 6] = ["lease", "tag", "tags", "edited", "clock", "write-behind"];

/// `tag:`: the start of the tags of namespaces.
pub const TAG: &str = "tag";
/// `tags:`: the start of the tags of entries.
pub const TAGS: &str = "tags";

/// `{word}:{{prefix}{key}}`
fn beside<T, K>(word: &str, prefix: &str, key: &Key<T>) -> Key<K> {
    Key::new(SmolStr::from_iter([word, ":{", prefix, key.as_str(), "}"]))
}

/// `lease:{{copy}}` — the lease for loading this key: a random token, with a TTL.
pub fn lease<T>(prefix: &str, key: &Key<T>) -> Key<u64> {
    beside("lease", prefix, key)
}

/// `edited:{{copy}}` — what may not be served past its TTL: copies below a version, and,
/// after a colon, copies loaded before a time. Kept as long as any process may hold such
/// a copy.
pub fn edited<T>(prefix: &str, key: &Key<T>) -> Key<String> {
    beside("edited", prefix, key)
}

/// `clock:{{copy}}` — the latest stamp of a write of this key, in microseconds, so that
/// stamps never go back when the clock does.
pub fn clock<T>(prefix: &str, key: &Key<T>) -> Key<u64> {
    beside("clock", prefix, key)
}

/// `tag:{namespace}` — the current generation of the namespace's copies; a number.
pub fn tag(namespace: &str) -> Key<u64> {
    Key::of(TAG, namespace)
}

/// `tags:{tag}` — the current generation of the entries with this tag; a number. The tag
/// is escaped.
pub fn entry_tag(tag: &str) -> Key<u64> {
    Key::of(TAGS, tag)
}

/// `write-behind` — the stream of writes that the origin does not have yet.
#[cfg(feature = "write-behind")]
pub fn write_behind() -> Key {
    Key::new(SmolStr::new_static("write-behind"))
}

/// `write-behind:dead-letters` — a stream of writes that the origin rejected
/// permanently.
#[cfg(feature = "write-behind")]
pub fn dead_letters() -> Key {
    Key::new(SmolStr::new_static("write-behind:dead-letters"))
}
