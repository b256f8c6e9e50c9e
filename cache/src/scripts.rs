//! The scripts that keep an older value from replacing a newer. Each runs as
//! one step in Redis; those on one entry cost O(1). The trace shows the first line, a comment.
//!
//! A reader that was slow may bring an old row after an edit was made. So a
//! fill stores only where nothing newer is held, and an invalidation leaves a mark
//! of the version behind, for as long as such a reader may still come. A copy
//! with a `pending` stamp is newer than the origin and must not be lost.

use crate::redis::Script;

/// `KEYS[1]`, version, entry, TTL in milliseconds, when the load began in
/// microseconds since 1970 by the server's clock. Replies 1 when it stored, 2
/// when another type of value was there. What is no entry is overwritten; a
/// value that was loaded before somebody dropped the copy is not stored.
pub static FILL: Script = Script::storing(include_str!("scripts/fill.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` what is known of its edits, `KEYS[3]` the
/// clock of writes; version that is good, TTL of the mark, when that version
/// was written in microseconds since 1970 by the server's clock, TTL of what is
/// known of edits; both TTLs in milliseconds.
///
/// Replies 1 when it dropped a copy, 2 when it kept one that the origin does
/// not have yet: such a copy gives way only to a later write. Without a version
/// (-1) any other copy is dropped, and the mark says when; a TTL of 0 leaves no
/// mark.
pub static INVALIDATE: Script = Script::new(include_str!("scripts/invalidate.lua"));

/// `KEYS[1]`. Replies what [`INVALIDATE`] without a version would.
pub static WOULD_INVALIDATE: Script = Script::new(include_str!("scripts/would_invalidate.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` the clock of writes. Replies the version that
/// is held, 0 for none, and the stamp of a write that begins now: the server's
/// time in microseconds, and later than any stamp before, as a clock may step back.
pub static WRITE_CONTEXT: Script = Script::new(include_str!("scripts/write_context.lua"));

/// `KEYS[1]` the entry, `KEYS[2]` the stream, `KEYS[3]` the clock of writes,
/// `KEYS[4]` what is known of edits; the version known of the origin,
/// the latest time to run at in microseconds, the most writes that may wait,
/// the key's name, the entry without its version, the value, the TTL of what is
/// known of edits. Replies {1, version, stamp}, or {0, 'late'} or {0, 'full'}.
///
/// A command that a frozen Redis runs after its sender gave up would overwrite
/// what was written meanwhile: hence the latest time.
pub static ENQUEUE: Script = Script::storing(include_str!("scripts/enqueue.lua"));

/// `KEYS[1]`, stamp of the write that the origin has now. The pending copy of
/// that write becomes an ordinary one, good for the TTL it was made with; a
/// later one stays pending. Replies 1 when it was that write's.
pub static SETTLE: Script = Script::new(include_str!("scripts/settle.lua"));

/// `KEYS[1]`, stamp of a write that the origin will not have, TTL of the mark
/// in milliseconds, the version that the origin has. Drops the pending copy of
/// that write.
pub static DISCARD: Script = Script::new(include_str!("scripts/discard.lua"));

/// `KEYS[1]` the stream, `KEYS[2]` that of what was set aside; id, why. Replies
/// -1 when the second can't take it.
pub static DEAD_LETTER: Script = Script::new(include_str!("scripts/dead_letter.lua"));

/// `KEYS[1]` the stream; group, consumer, idle time in milliseconds, the most
/// entries to take, the most to look at. Hands entries that were delivered so
/// long ago and never acknowledged to this consumer, and replies with them. It
/// does what XAUTOCLAIM does, which Redis 6.0 and some services don't have.
/// Entries that were deleted meanwhile are acknowledged.
pub static TAKE_OVER: Script = Script::new(include_str!("scripts/take_over.lua"));

/// `KEYS[1]` a tag. The time is a generation that was never there before, even
/// if the tag itself was lost. Replies it.
pub static NEXT_GENERATION: Script = Script::storing(include_str!("scripts/next_generation.lua"));

/// `KEYS[1]` a lease, token, milliseconds. Lends it for longer to its holder.
pub static RENEW: Script = Script::new(include_str!("scripts/renew.lua"));

/// `KEYS[1]` a lease, token. Gives it back.
pub static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));

/// `KEYS[1]` a stream, group, idle time in milliseconds. Removes consumers who
/// hold nothing and were not heard of for so long. Replies how many.
pub static SWEEP: Script = Script::new(include_str!("scripts/sweep.lua"));
