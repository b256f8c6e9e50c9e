-- read the cached version and the write clock
local entry = redis.pcall('GET', KEYS[1])
local version, pending = 0, 0
if type(entry) == 'string' then
  version = tonumber(string.match(entry, '^{"version":(%d+)') or 0)
  pending = tonumber(string.match(entry, '^{"version":%d+,"pending":(%d+)') or 0)
end
local time, last = redis.call('TIME'), redis.pcall('GET', KEYS[2])
last = type(last) == 'string' and tonumber(last) or 0
return {version, math.max(time[1] * 1000000 + time[2], last + 1, pending + 1)}
