-- check whether an invalidation would drop a copy
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' or string.find(entry, '^{"version":%d+,"gone":true') then return 0 end
return string.find(entry, '^{"version":%d+,"pending":') and 2 or 1
