//! The scripts of ordered and queued writes.

use crate::redis::Script;

/// `KEYS[1]` the entry, `KEYS[2]` the write clock. Replies the cached version, 0 if
/// there is none, and a stamp for a write that begins now: the server's time in
/// microseconds, but later than any earlier stamp, as the clock may step back.
pub static WRITE_CONTEXT: Script = Script::new(include_str!("write_context.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` the stream, `KEYS[3]` the write clock, `KEYS[4]`
/// the `edited` key; the origin's version, the latest time to run at, the maximum
/// queue length, the key, the entry without its version, the value, and the TTLs of
/// the `edited` key and of the write clock. Replies {1, version, stamp}, {0, 'late'} or {0, 'full'}.
///
/// The latest time is needed because a frozen Redis may run the command after its
/// sender gave up, and would overwrite later writes.
pub static ENQUEUE: Script = Script::storing(include_str!("enqueue.lua"));

/// `KEYS[1]`; the stamp of a write that the origin has committed. Turns the pending
/// copy of that write into an ordinary one, with the TTL it was created with; a
/// later write stays pending. Replies 1 if the copy was that write's.
pub static SETTLE: Script = Script::new(include_str!("settle.lua"));

/// `KEYS[1]`; the stamp of a write that the origin will not store, the TTL of the
/// tombstone in milliseconds, and the origin's version. Drops the pending copy of
/// that write.
pub static DISCARD: Script = Script::new(include_str!("discard.lua"));

/// `KEYS[1]` the stream, `KEYS[2]` the dead-letter stream; entry id, reason.
/// Replies -1 if the entry can't be added to the dead-letter stream.
pub static DEAD_LETTER: Script = Script::new(include_str!("dead_letter.lua"));

/// `KEYS[1]` the stream; group, consumer, idle time in milliseconds, the maximum
/// number of entries to claim and to examine. Claims entries that were delivered so
/// long ago and never acknowledged, and replies with them. Entries deleted
/// meanwhile are acknowledged.
///
/// A replacement for XAUTOCLAIM, which Redis 6.0 and some managed services lack.
pub static TAKE_OVER: Script = Script::new(include_str!("take_over.lua"));

/// `KEYS[1]` a stream; group, idle time in milliseconds. Removes consumers that
/// hold no entries and have been idle that long. Replies how many.
pub static SWEEP: Script = Script::new(include_str!("sweep.lua"));
