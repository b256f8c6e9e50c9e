//! The Lua scripts that keep an older value from replacing a newer one.
//!
//! Each runs atomically in Redis; those on a single entry are O(1). The trace shows
//! the first line of a script, a comment.
//!
//! A slow reader may deliver an old row after an edit. So a fill stores its entry
//! only if no newer one exists, and an invalidation leaves a tombstone with the
//! version or the time for as long as such a reader may still arrive. A copy with a
//! `pending` stamp is newer than the origin and must not be lost. [`crate::entry`] shows
//! the heads of entries that the scripts distinguish.

#[cfg(feature = "write-behind")]
pub mod queue;

use crate::redis::Script;

/// `KEYS[1]`; version, entry, TTL in milliseconds, and when the load began in
/// microseconds since 1970 by the server's clock; the TTL of a tombstone in milliseconds;
/// optionally the length and the start of an entry that could not be used before the load
/// began, which is overwritten in any case.
///
/// Replies 1 if it stored the entry, 2 if it replaced a value of another type, and
/// 0 if a newer entry exists, or the key was invalidated after the load began, or so much
/// time has passed that it may have been. Data that is not an entry is overwritten. An
/// entry without a version (0) replaces what has a time, if that is not later.
pub static FILL: Script = Script::storing(include_str!("scripts/fill.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` its `edited` key, `KEYS[3]` the write clock; the
/// current version, the TTL of the tombstone, the stamp of that version in
/// microseconds since 1970 by the server's clock, and the TTLs of the `edited` key and
/// of the write clock. All TTLs are in milliseconds.
///
/// Replies 1 if it dropped a copy, 2 if it kept a pending one, and 0 otherwise. A
/// pending copy gives way only to a later write. Without a version (-1) any other
/// copy is dropped, and the tombstone records the time; a TTL of 0 leaves no
/// tombstone. With a version, newer copies are kept, and a time that the key has is, too.
pub static INVALIDATE: Script = Script::new(include_str!("scripts/invalidate.lua"));

/// `KEYS[1]`. Replies what [`INVALIDATE`] without a version would.
pub static WOULD_INVALIDATE: Script = Script::new(include_str!("scripts/would_invalidate.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` its `edited` key; when the write began, in microseconds
/// since 1970 by the server's clock, the entry without its version, and the TTLs of the
/// entry, of a tombstone and of the `edited` key, in milliseconds.
///
/// For values without a version: which of two writes that overlap was the last can't be
/// known, so the second to arrive leaves a tombstone and replies 0. Otherwise the entry
/// is stored with the time, and the reply is 1. A pending copy is kept, with the reply 0.
pub static STORE_WRITTEN: Script = Script::storing(include_str!("scripts/store_written.lua"));

/// `KEYS[1]` a tag; a TTL in milliseconds, or 0 for none. Starts a new generation and
/// replies it. A generation is a time, so it never repeats, even if the tag was lost.
pub static NEXT_GENERATION: Script = Script::storing(include_str!("scripts/next_generation.lua"));

/// `KEYS[1]` a tag; the first generation if there is none, and the least TTL in
/// milliseconds, of which it gets the double. Replies the generation.
pub static TAG_GENERATION: Script = Script::new(include_str!("scripts/tag_generation.lua"));

/// `KEYS[1]` a lease; token, TTL in milliseconds. Extends the lease if the token
/// holds it.
pub static RENEW: Script = Script::new(include_str!("scripts/renew.lua"));

/// `KEYS[1]` a lease; token. Releases the lease if the token holds it.
pub static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));
