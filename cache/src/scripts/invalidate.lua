-- drop older copies and leave a tombstone
local function number(key)
  local value = key and redis.pcall('GET', key)
  return type(value) == 'string' and tonumber(value) or 0
end
local current, stamp = tonumber(ARGV[1]), tonumber(ARGV[3])
local entry = redis.pcall('GET', KEYS[1])
local version, pending = nil, nil
if type(entry) == 'string' then
  version = tonumber(string.match(entry, '^{"version":(%d+)'))
  pending = string.match(entry, '^{"version":%d+,"pending":(%d+)')
end
local is_copy = version and not string.find(entry, '"gone":true}', 1, true)
if KEYS[3] and stamp > number(KEYS[3]) then redis.call('SET', KEYS[3], ARGV[3]) end
if pending and tonumber(pending) >= stamp then return 2 end
if KEYS[2] and ARGV[4] ~= '0' then
  local floor = math.max(current < 0 and 9007199254740991 or current, number(KEYS[2]))
  redis.call('SET', KEYS[2], string.format('%.0f', floor), 'PX', ARGV[4])
end
if current >= 0 and is_copy and not pending and version >= current then return 0 end
local dropped = is_copy and 1 or 0
if not version then dropped = redis.call('UNLINK', KEYS[1]) end
if ARGV[2] == '0' then
  redis.call('UNLINK', KEYS[1])
  return dropped
end
local at = ''
if current < 0 then
  local time = redis.call('TIME')
  at = string.format(',"at":%.0f', time[1] * 1000000 + time[2])
end
-- versions of discarded pending writes will be assigned again
local tombstone = string.format('%.0f', pending and current or math.max(version or 0, current))
redis.call('SET', KEYS[1], '{"version":' .. tombstone .. at .. ',"gone":true}', 'PX', ARGV[2])
return dropped
