-- drop the pending copy of a write that the database will not store
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' then return 0 end
if string.match(entry, '^{"version":%d+,"pending":(%d+)') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '{"version":' .. ARGV[3] .. ',"gone":true}', 'PX', ARGV[2])
return 1
