-- store, unless something newer is held
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local version = tonumber(string.match(held, '^{"version":(%d+)'))
  local waits = string.find(held, '^{"version":%d+,"pending":')
  local at = string.match(held, '^{"version":%d+,"at":(%d+)')
  if version and (version > tonumber(ARGV[1]) or waits and version == tonumber(ARGV[1])) then
    return 0
  end
  if at and tonumber(at) > tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return type(held) == 'table' and 2 or 1
