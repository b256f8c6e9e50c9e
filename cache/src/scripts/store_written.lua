-- store the written value, unless another write overlapped
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local entry = redis.pcall('GET', KEYS[1])
local version, at = '0', 0
if type(entry) == 'string' then
  if string.find(entry, '^{"version":%d+,"pending":') then return 0 end
  version = string.match(entry, '^{"version":(%d+)') or '0'
  at = tonumber(string.match(entry, '^{"version":%d+,"at":(%d+)')
    or string.match(entry, '^{"version":%d+,"gone":true,"at":(%d+)') or 0)
end
local known = redis.pcall('GET', KEYS[2])
local floor, seen = '0', 0
if type(known) == 'string' then
  floor = string.match(known, '^%d+') or '0'
  seen = tonumber(string.match(known, '^%d+:(%d+)$') or 0)
end
redis.call('SET', KEYS[2], floor .. ':' .. now, 'PX', ARGV[5])
if math.max(at, seen) > tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '{"version":' .. version .. ',"gone":true,"at":' .. now .. '}', 'PX', ARGV[4])
  return 0
end
redis.call('SET', KEYS[1], '{"version":0,"at":' .. now .. ',' .. ARGV[2], 'PX', ARGV[3])
return 1
