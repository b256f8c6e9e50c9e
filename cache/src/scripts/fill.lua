-- store the entry unless a newer one exists
local time = redis.call('TIME')
local new, since = tonumber(ARGV[1]), tonumber(ARGV[4])
-- the tombstone of an invalidation since then may have expired
if time[1] * 1000000 + time[2] - since > ARGV[5] * 1000 then return 0 end
local entry = redis.pcall('GET', KEYS[1])
if type(entry) == 'string' then
  local version = tonumber(string.match(entry, '^{"version":(%d+)') or 0)
  local pending = string.find(entry, '^{"version":%d+,"pending":')
  if pending and version >= new then return 0 end
  local timed = string.match(entry, '^{"version":%d+,"at":(%d+)')
    or string.match(entry, '^{"version":%d+,"gone":true,"at":(%d+)}$')
  local at = timed or string.match(entry, '^{"version":%d+,"gone":true,"at":(%d+)')
  local unusable = ARGV[6] and #entry == tonumber(ARGV[6]) and string.sub(entry, 1, #ARGV[7]) == ARGV[7]
  if not unusable then
    if at and tonumber(at) > since then return 0 end
    if version > new and not (timed and new == 0) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return type(entry) == 'table' and 2 or 1
