-- drop older copies and leave a tombstone
local function text(key)
  local value = key and redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end
local current, stamp = tonumber(ARGV[1]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local entry = redis.pcall('GET', KEYS[1])
local version, pending, is_copy, timed, at = nil, nil, false, nil, nil
if type(entry) == 'string' then
  version = tonumber(string.match(entry, '^{"version":(%d+)'))
  pending = string.match(entry, '^{"version":%d+,"pending":(%d+)')
  is_copy = version and not string.find(entry, '^{"version":%d+,"gone":true')
  timed = string.match(entry, '^{"version":%d+,"at":(%d+)')
  at = timed or string.match(entry, '^{"version":%d+,"gone":true,"at":(%d+)')
end
if KEYS[3] and stamp > (tonumber(text(KEYS[3])) or 0) then
  redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
end
if pending and tonumber(pending) >= stamp then return 2 end
if KEYS[2] and ARGV[4] ~= '0' then
  local known = text(KEYS[2])
  local floor = math.max(current, tonumber(string.match(known, '^%d+') or 0))
  local since = string.match(known, '^%d+(:%d+)$') or ''
  if current < 0 then since = ':' .. now end
  redis.call('SET', KEYS[2], string.format('%.0f', floor) .. since, 'PX', ARGV[4])
end
if current >= 0 and is_copy and not pending and not timed and version >= current then return 0 end
local dropped = is_copy and 1 or 0
if not version then dropped = redis.call('UNLINK', KEYS[1]) end
if ARGV[2] == '0' then
  redis.call('UNLINK', KEYS[1])
  return dropped
end
local rest = at and ',"at":' .. at .. ',"written":true' or ''
if current < 0 then rest = ',"at":' .. now end
-- versions of discarded pending writes will be assigned again
local tombstone = string.format('%.0f', pending and current or math.max(version or 0, current))
redis.call('SET', KEYS[1], '{"version":' .. tombstone .. ',"gone":true' .. rest .. '}', 'PX', ARGV[2])
return dropped
