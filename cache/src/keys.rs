//! Keys that the cache uses itself, besides those of the values.

use smol_str::SmolStr;

use crate::namespace::{Key, Namespace};

const LEASE: Namespace = Namespace::new("lease");
pub(super) const TAG: Namespace = Namespace::new("tag");
const EDITED: Namespace = Namespace::new("edited");
const WRITE_BEHIND: Namespace = Namespace::new("write-behind");

/// `lease:{key}` — the lease for loading this key: a random token, with a TTL.
pub fn lease<T>(key: &Key<T>) -> Key<u64> {
    Key::of(LEASE, key.as_str())
}

/// `tag:{namespace}` — the current generation of the namespace's copies; a number.
pub fn tag(namespace: Namespace) -> Key<u64> {
    Key::of(TAG, namespace.name())
}

/// `edited:{key}` — the lowest version that may be served past its TTL; a number,
/// kept as long as any process may hold an older copy.
pub fn edited<T>(key: &Key<T>) -> Key<u64> {
    Key::of(EDITED, key.as_str())
}

/// `write-clock` — the latest stamp of a write, in microseconds, so that stamps
/// never go back when the clock does.
pub fn write_clock() -> Key<u64> {
    Key::new(WRITE_BEHIND, SmolStr::new_static("write-clock"))
}

/// `write-behind` — the stream of writes that the database does not have yet.
pub fn write_behind() -> Key<()> {
    Key::new(WRITE_BEHIND, SmolStr::new_static("write-behind"))
}

/// `write-behind:aside` — the dead letters: a stream of writes that the database
/// rejected permanently.
pub fn write_behind_dead_letters() -> Key<()> {
    Key::new(WRITE_BEHIND, SmolStr::new_static("write-behind:aside"))
}
