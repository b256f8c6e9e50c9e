-- is it a copy that could be dropped
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or string.find(held, '"gone":true}', 1, true) then return 0 end
return string.find(held, '^{"version":%d+,"pending":') and 2 or 1
