//! State in this process: the near cache, copies past their TTL for when the
//! origin fails, entries that were decoded before, and how many marks of absence
//! it may make.

pub mod cached_copy;
pub mod decoded;
pub mod entries;
pub mod near;
pub mod negative;
pub mod slots;
