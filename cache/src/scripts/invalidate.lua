-- drop older copies and leave a tombstone
local function text(key)
  local value = key and redis.pcall('GET', key)
  return type(value) == 'string' and value or ''
end
local current, stamp = tonumber(ARGV[1]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local entry = redis.pcall('GET', KEYS[1])
local version, pending, is_copy = nil, nil, false
if type(entry) == 'string' then
  version = tonumber(string.match(entry, '^{"version":(%d+)'))
  pending = string.match(entry, '^{"version":%d+,"pending":(%d+)')
  is_copy = version and not string.find(entry, '^{"version":%d+,"gone":true')
end
if KEYS[3] and stamp > (tonumber(text(KEYS[3])) or 0) then
  redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[5])
end
if pending and tonumber(pending) >= stamp then return 2 end
if KEYS[2] and ARGV[4] ~= '0' then
  local known = text(KEYS[2])
  local floor = math.max(current, tonumber(string.match(known, '^%d+') or 0))
  local at = string.match(known, ':%d+') or ''
  if current < 0 then at = ':' .. now end
  redis.call('SET', KEYS[2], string.format('%.0f', floor) .. at, 'PX', ARGV[4])
end
if current >= 0 and is_copy and not pending and version >= current then return 0 end
local dropped = is_copy and 1 or 0
if not version then dropped = redis.call('UNLINK', KEYS[1]) end
if ARGV[2] == '0' then
  redis.call('UNLINK', KEYS[1])
  return dropped
end
local at = current < 0 and ',"at":' .. now or ''
-- versions of discarded pending writes will be assigned again
local tombstone = string.format('%.0f', pending and current or math.max(version or 0, current))
redis.call('SET', KEYS[1], '{"version":' .. tombstone .. ',"gone":true' .. at .. '}', 'PX', ARGV[2])
return dropped
