//! The Lua scripts that keep an older value from replacing a newer one.
//!
//! Each runs atomically in Redis; those on a single entry are O(1). The trace shows
//! the first line of a script, a comment.
//!
//! A slow reader may deliver an old row after an edit. So a fill stores its entry
//! only if no newer one exists, and an invalidation leaves a tombstone with the
//! version for as long as such a reader may still arrive. A copy with a `pending`
//! stamp is newer than the origin and must not be lost.

use crate::redis::Script;

/// `KEYS[1]`; version, entry, TTL in milliseconds, and when the load began in
/// microseconds since 1970 by the server's clock.
///
/// Replies 1 if it stored the entry, 2 if it replaced a value of another type, and
/// 0 if a newer entry exists or the key was invalidated after the load began. Data
/// that is not an entry is overwritten.
pub static FILL: Script = Script::storing(include_str!("scripts/fill.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` its `edited` key, `KEYS[3]` the write clock; the
/// current version, the TTL of the tombstone, the stamp of that version in
/// microseconds since 1970 by the server's clock, and the TTL of the `edited` key.
/// Both TTLs are in milliseconds.
///
/// Replies 1 if it dropped a copy, 2 if it kept a pending one, and 0 otherwise. A
/// pending copy gives way only to a later write. Without a version (-1) any other
/// copy is dropped, and the tombstone records the time; a TTL of 0 leaves no
/// tombstone.
pub static INVALIDATE: Script = Script::new(include_str!("scripts/invalidate.lua"));

/// `KEYS[1]`. Replies what [`INVALIDATE`] without a version would.
pub static WOULD_INVALIDATE: Script = Script::new(include_str!("scripts/would_invalidate.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` the write clock. Replies the cached version, 0 if
/// there is none, and a stamp for a write that begins now: the server's time in
/// microseconds, but later than any earlier stamp, as the clock may step back.
pub static WRITE_CONTEXT: Script = Script::new(include_str!("scripts/write_context.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` the stream, `KEYS[3]` the write clock, `KEYS[4]`
/// the `edited` key; the origin's version, the latest time to run at, the maximum
/// queue length, the key, the entry without its version, the value, and the TTL of
/// the `edited` key. Replies {1, version, stamp}, {0, 'late'} or {0, 'full'}.
///
/// The latest time is needed because a frozen Redis may run the command after its
/// sender gave up, and would overwrite later writes.
pub static ENQUEUE: Script = Script::storing(include_str!("scripts/enqueue.lua"));

/// `KEYS[1]`; the stamp of a write that the origin has committed. Turns the pending
/// copy of that write into an ordinary one, with the TTL it was created with; a
/// later write stays pending. Replies 1 if the copy was that write's.
pub static SETTLE: Script = Script::new(include_str!("scripts/settle.lua"));

/// `KEYS[1]`; the stamp of a write that the origin will not store, the TTL of the
/// tombstone in milliseconds, and the origin's version. Drops the pending copy of
/// that write.
pub static DISCARD: Script = Script::new(include_str!("scripts/discard.lua"));

/// `KEYS[1]` the stream, `KEYS[2]` the dead-letter stream; entry id, reason.
/// Replies -1 if the entry can't be added to the dead-letter stream.
pub static DEAD_LETTER: Script = Script::new(include_str!("scripts/dead_letter.lua"));

/// `KEYS[1]` the stream; group, consumer, idle time in milliseconds, the maximum
/// number of entries to claim and to examine. Claims entries that were delivered so
/// long ago and never acknowledged, and replies with them. Entries deleted
/// meanwhile are acknowledged.
///
/// A replacement for XAUTOCLAIM, which Redis 6.0 and some managed services lack.
pub static TAKE_OVER: Script = Script::new(include_str!("scripts/take_over.lua"));

/// `KEYS[1]` a tag. Starts a new generation and replies it. A generation is a time,
/// so it never repeats, even if the tag was lost.
pub static NEXT_GENERATION: Script = Script::storing(include_str!("scripts/next_generation.lua"));

/// `KEYS[1]` a lease; token, TTL in milliseconds. Extends the lease if the token
/// holds it.
pub static RENEW: Script = Script::new(include_str!("scripts/renew.lua"));

/// `KEYS[1]` a lease; token. Releases the lease if the token holds it.
pub static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));

/// `KEYS[1]` a stream; group, idle time in milliseconds. Removes consumers that
/// hold no entries and have been idle that long. Replies how many.
pub static SWEEP: Script = Script::new(include_str!("scripts/sweep.lua"));
