//! The scripts that keep an older value from replacing a newer. Each runs as
//! one step in Redis and costs O(1). The wire shows the first line, a comment.
//!
//! A reader that was slow may bring an old row after an edit was made. So a
//! fill stores only where nothing newer is held, and forgetting leaves a mark
//! of the version behind, for as long as such a reader may still come. A copy
//! with a `pending` stamp is newer than the origin and must not be lost.

/// `KEYS[1]`, version, entry, TTL in milliseconds. Replies 1 when it stored, 2
/// when another type of value was there. What is no entry is overwritten.
pub const FILL: &str = r#"-- store, unless something newer is held
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local version = tonumber(string.match(held, '^{"version":(%d+)'))
  if version and version > tonumber(ARGV[1]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return type(held) == 'table' and 2 or 1"#;

/// `KEYS[1]`, version that is good, TTL of the mark in milliseconds. Replies 1
/// when it dropped a copy, 2 when it kept one that the origin does not have
/// yet. Without a version (-1) any other copy is dropped; a TTL of 0 then
/// leaves no mark where nothing was.
pub const FORGET: &str = r#"-- drop what is older, leave a mark of the version
local good = tonumber(ARGV[1])
local held = redis.pcall('GET', KEYS[1])
local version = nil
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)'))
end
if not version then
  local dropped = redis.call('UNLINK', KEYS[1])
  if ARGV[2] ~= '0' then
    local mark = string.format('%.0f', math.max(good, 0))
    redis.call('SET', KEYS[1], '{"version":' .. mark .. ',"gone":true}', 'PX', ARGV[2])
  end
  return dropped
end
local is_copy = not string.find(held, '"gone":true}', 1, true)
if good < 0 and string.find(held, '^{"version":%d+,"pending":') then return 2 end
if good >= 0 and is_copy and version >= good then return 0 end
if ARGV[2] == '0' then return redis.call('UNLINK', KEYS[1]) and is_copy and 1 or 0 end
local mark = string.format('%.0f', math.max(version, good))
redis.call('SET', KEYS[1], '{"version":' .. mark .. ',"gone":true}', 'PX', ARGV[2])
return is_copy and 1 or 0"#;

/// `KEYS[1]`. Replies what [`FORGET`] without a version would.
pub const WOULD_FORGET: &str = r#"-- is it a copy that could be dropped
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or string.find(held, '"gone":true}', 1, true) then return 0 end
return string.find(held, '^{"version":%d+,"pending":') and 2 or 1"#;

/// `KEYS[1]`. Replies the version that is held, 0 for none, and the server's
/// time in microseconds.
pub const HELD: &str = r#"-- which version is held, and what time is it
local held = redis.pcall('GET', KEYS[1])
local version = type(held) == 'string' and string.match(held, '^{"version":(%d+)')
local time = redis.call('TIME')
return {tonumber(version or 0), time[1] * 1000000 + time[2]}"#;

/// `KEYS[1]` the entry, `KEYS[2]` the stream; the version known of the origin,
/// the latest time to run at in microseconds, the most writes that may wait,
/// the key's name, the entry without its version, the value. Replies {1, version, stamp}, or {0, 'late'} or {0, 'full'}.
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
/// in milliseconds. Drops the pending copy of that write.
pub const DISCARD: &str = r#"-- the database has something later: drop the pending copy
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then return 0 end
local version, stamp = string.match(held, '^{"version":(%d+),"pending":(%d+)')
if stamp ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '{"version":' .. version .. ',"gone":true}', 'PX', ARGV[2])
return 1"#;

/// `KEYS[1]` the stream, `KEYS[2]` that of what was set aside; id, why.
pub const SET_ASIDE: &str = r#"-- set it aside for a person to look at
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
redis.call('XADD', KEYS[2], '*', 'id', ARGV[1], 'why', ARGV[2], unpack(entry[2]))
redis.call('XDEL', KEYS[1], ARGV[1])
return 1"#;

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
