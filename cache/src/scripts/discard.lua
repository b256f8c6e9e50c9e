-- the database has something later: drop the pending copy
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then return 0 end
if string.match(held, '^{"version":%d+,"pending":(%d+)') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '{"version":' .. ARGV[3] .. ',"gone":true}', 'PX', ARGV[2])
return 1
