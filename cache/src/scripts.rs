//! The scripts that keep an older value from replacing a newer. Each runs as
//! one step in Redis and costs O(1). The wire shows the first line, a comment.
//!
//! A reader that was slow may bring an old row after an edit was made. So a
//! fill stores only where nothing newer is held, and forgetting leaves a mark
//! of the version behind, for as long as such a reader may still come. A copy
//! with a `pending` stamp is newer than the origin and must not be lost.

/// `KEYS[1]`, version, entry, TTL in milliseconds, when the load began in
/// microseconds since 1970 by the server's clock. Replies 1 when it stored, 2
/// when another type of value was there. What is no entry is overwritten; a
/// value that was loaded before somebody dropped the copy is not stored.
pub const FILL: &str = r#"-- store, unless something newer is held
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local version = tonumber(string.match(held, '^{"version":(%d+)'))
  local waits = string.find(held, '^{"version":%d+,"pending":')
  local at = string.match(held, '^{"version":%d+,"at":(%d+)')
  if version and (version > tonumber(ARGV[1]) or waits and version == tonumber(ARGV[1])) then
    return 0
  end
  if at and tonumber(at) > tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return type(held) == 'table' and 2 or 1"#;

/// `KEYS[1]` the entry, `KEYS[2]` what is known of its edits, `KEYS[3]` the
/// clock of writes; version that is good, TTL of the mark, when that version
/// was written in microseconds since 1970 by the server's clock, TTL of what is
/// known of edits; both TTLs in milliseconds.
///
/// Replies 1 when it dropped a copy, 2 when it kept one that the origin does
/// not have yet: such a copy gives way only to a later write. Without a version
/// (-1) any other copy is dropped, and the mark says when; a TTL of 0 leaves no
/// mark.
pub const FORGET: &str = r#"-- drop what is older, leave a mark of the version
local function number(key)
  local value = key and redis.pcall('GET', key)
  return type(value) == 'string' and tonumber(value) or 0
end
local good, stamp = tonumber(ARGV[1]), tonumber(ARGV[3])
local held = redis.pcall('GET', KEYS[1])
local version, pending = nil, nil
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)'))
  pending = string.match(held, '^{"version":%d+,"pending":(%d+)')
end
local is_copy = version and not string.find(held, '"gone":true}', 1, true)
if KEYS[3] and stamp > number(KEYS[3]) then redis.call('SET', KEYS[3], ARGV[3]) end
if pending and tonumber(pending) >= stamp then return 2 end
if KEYS[2] and ARGV[4] ~= '0' then
  local floor = math.max(good < 0 and 9007199254740991 or good, number(KEYS[2]))
  redis.call('SET', KEYS[2], string.format('%.0f', floor), 'PX', ARGV[4])
end
if good >= 0 and is_copy and not pending and version >= good then return 0 end
local dropped = is_copy and 1 or 0
if not version then dropped = redis.call('UNLINK', KEYS[1]) end
if ARGV[2] == '0' then
  redis.call('UNLINK', KEYS[1])
  return dropped
end
local at = ''
if good < 0 then
  local time = redis.call('TIME')
  at = string.format(',"at":%.0f', time[1] * 1000000 + time[2])
end
-- the versions of writes that waited in vain will come again
local mark = string.format('%.0f', pending and good or math.max(version or 0, good))
redis.call('SET', KEYS[1], '{"version":' .. mark .. at .. ',"gone":true}', 'PX', ARGV[2])
return dropped"#;

/// `KEYS[1]`. Replies what [`FORGET`] without a version would.
pub const WOULD_FORGET: &str = r#"-- is it a copy that could be dropped
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or string.find(held, '"gone":true}', 1, true) then return 0 end
return string.find(held, '^{"version":%d+,"pending":') and 2 or 1"#;

/// `KEYS[1]` the entry, `KEYS[2]` the clock of writes. Replies the version that
/// is held, 0 for none, and the stamp of a write that begins now: the server's
/// time in microseconds, and later than any stamp before, as a clock may step back.
pub const HELD: &str = r#"-- which version is held, and what time is it
local held = redis.pcall('GET', KEYS[1])
local version, pending = 0, 0
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)') or 0)
  pending = tonumber(string.match(held, '^{"version":%d+,"pending":(%d+)') or 0)
end
local time, last = redis.call('TIME'), redis.pcall('GET', KEYS[2])
last = type(last) == 'string' and tonumber(last) or 0
return {version, math.max(time[1] * 1000000 + time[2], last + 1, pending + 1)}"#;

/// `KEYS[1]` the entry, `KEYS[2]` the stream, `KEYS[3]` the clock of writes,
/// `KEYS[4]` what is known of edits; the version known of the origin,
/// the latest time to run at in microseconds, the most writes that may wait,
/// the key's name, the entry without its version, the value, the TTL of what is
/// known of edits. Replies {1, version, stamp}, or {0, 'late'} or {0, 'full'}.
///
/// A command that a frozen Redis runs after its sender gave up would overwrite
/// what was written meanwhile: hence the latest time.
pub const ENQUEUE: &str = r#"-- store, and queue for the database
local time = redis.call('TIME')
local stamp = time[1] * 1000000 + time[2]
if stamp > tonumber(ARGV[2]) then return {0, 'late'} end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return {0, 'full'} end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[2], 'flushers', '0', 'MKSTREAM')
end
local last = redis.pcall('GET', KEYS[3])
stamp = math.max(stamp, (type(last) == 'string' and tonumber(last) or 0) + 1)
local version, before = 0, nil
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)') or 0)
  before = string.match(held, '^{"version":%d+,"pending":(%d+)')
end
version = math.max(version, tonumber(ARGV[1])) + 1
if before and tonumber(before) >= stamp then stamp = tonumber(before) + 1 end
local v, s = string.format('%.0f', version), string.format('%.0f', stamp)
redis.call('XADD', KEYS[2], '*', 'key', ARGV[4], 'version', v, 'stamp', s, 'value', ARGV[6])
redis.call('SET', KEYS[1], '{"version":' .. v .. ',"pending":' .. s .. ',' .. ARGV[5])
redis.call('SET', KEYS[3], s)
redis.call('SET', KEYS[4], v, 'PX', ARGV[7])
return {1, version, stamp}"#;

/// `KEYS[1]`, stamp of the write that the origin has now. The pending copy of
/// that write becomes an ordinary one, good for the TTL it was made with; a
/// later one stays pending. Replies 1 when it was that write's.
pub const SETTLE: &str = r#"-- the database has it: an ordinary copy from now on
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then return 0 end
local head, stamp, tail = string.match(held, '^({"version":%d+),"pending":(%d+)(,.*)$')
if stamp ~= ARGV[1] then return 0 end
local ttl = tonumber(string.match(tail, '"ttl":(%d+)'))
redis.call('SET', KEYS[1], head .. tail, 'PX', ttl)
return 1"#;

/// `KEYS[1]`, stamp of a write that the origin will not have, TTL of the mark
/// in milliseconds, the version that the origin has. Drops the pending copy of
/// that write.
pub const DISCARD: &str = r#"-- the database has something later: drop the pending copy
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then return 0 end
if string.match(held, '^{"version":%d+,"pending":(%d+)') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '{"version":' .. ARGV[3] .. ',"gone":true}', 'PX', ARGV[2])
return 1"#;

/// `KEYS[1]` the stream, `KEYS[2]` that of what was set aside; id, why. Replies
/// -1 when the second can't take it.
pub const SET_ASIDE: &str = r#"-- set it aside for a person to look at
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local set = redis.pcall('XADD', KEYS[2], '*', 'id', ARGV[1], 'why', ARGV[2], unpack(entry[2]))
if type(set) == 'table' then return -1 end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1"#;

/// `KEYS[1]` the stream; group, consumer, idle time in milliseconds, the most
/// entries to take, the most to look at. Hands entries that were delivered so
/// long ago and never acknowledged to this consumer, and replies with them. It
/// does what XAUTOCLAIM does, which Redis 6.0 and some services don't have.
/// Entries that were deleted meanwhile are acknowledged.
pub const TAKE_OVER: &str = r#"-- take over what a consumer left behind
local stream, group, idle, most = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local taken = {}
for _, it in ipairs(redis.call('XPENDING', stream, group, '-', '+', ARGV[5])) do
  if #taken == most then break end
  if it[3] >= idle then
    local entry = redis.call('XCLAIM', stream, group, ARGV[2], ARGV[3], it[1])[1]
    if entry then taken[#taken + 1] = entry else redis.call('XACK', stream, group, it[1]) end
  end
end
return taken"#;

/// `KEYS[1]` a tag. The time is a generation that was never there before, even
/// if the tag itself was lost. Replies it.
pub const NEXT_GENERATION: &str = r#"-- from now on every copy with this tag is of the past
local time = redis.call('TIME')
local generation = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], generation)
return generation"#;

/// `KEYS[1]` a lease, token, milliseconds. Lends it for longer to its holder.
pub const RENEW: &str = r#"-- lend it for longer, if it is still ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])"#;

/// `KEYS[1]` a lease, token. Gives it back.
pub const GIVE_BACK: &str = r#"-- give it back, if it is still ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])"#;

/// `KEYS[1]` a stream, group, idle time in milliseconds. Removes consumers who
/// hold nothing and were not heard of for so long. Replies how many.
pub const SWEEP: &str = r#"-- remove consumers who are gone and hold nothing
local removed = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local name, pending, idle = fields[2], fields[4], fields[6]
  if pending == 0 and idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    removed = removed + 1
  end
end
return removed"#;
