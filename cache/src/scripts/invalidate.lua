-- drop what is older, leave a mark of the version
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
return dropped
