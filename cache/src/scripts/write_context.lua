-- which version is held, and what time is it
local held = redis.pcall('GET', KEYS[1])
local version, pending = 0, 0
if type(held) == 'string' then
  version = tonumber(string.match(held, '^{"version":(%d+)') or 0)
  pending = tonumber(string.match(held, '^{"version":%d+,"pending":(%d+)') or 0)
end
local time, last = redis.call('TIME'), redis.pcall('GET', KEYS[2])
last = type(last) == 'string' and tonumber(last) or 0
return {version, math.max(time[1] * 1000000 + time[2], last + 1, pending + 1)}
