-- turn the pending copy into an ordinary one
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' then return 0 end
local head, stamp, ttl = string.match(entry, '^({"version":%d+),"pending":(%d+),"ttl":(%d+),')
if stamp ~= ARGV[1] then return 0 end
local tail = string.sub(entry, #head + #',"pending":' + #stamp + 1)
redis.call('SET', KEYS[1], head .. tail, 'PX', ttl)
return 1
