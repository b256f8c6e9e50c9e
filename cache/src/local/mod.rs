//! State in this process: the near cache, copies past their TTL for when the origin
//! fails, decoded entries, and limits on negative entries and tombstones.

pub mod cached_copy;
pub mod decoded;
pub mod entries;
pub mod near;
pub mod negative;
pub mod slots;
