-- store the entry unless a newer one exists
local entry = redis.pcall('GET', KEYS[1])
if type(entry) == 'string' then
  local version = tonumber(string.match(entry, '^{"version":(%d+)'))
  local pending = string.find(entry, '^{"version":%d+,"pending":')
  local at = string.match(entry, '^{"version":%d+,"gone":true,"at":(%d+)')
  if version and (version > tonumber(ARGV[1]) or pending and version == tonumber(ARGV[1])) then
    return 0
  end
  if at and tonumber(at) > tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return type(entry) == 'table' and 2 or 1
