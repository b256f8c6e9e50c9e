-- turn the pending copy into an ordinary one
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' then return 0 end
local head, stamp, tail = string.match(entry, '^({"version":%d+),"pending":(%d+)(,.*)$')
if stamp ~= ARGV[1] then return 0 end
local ttl = tonumber(string.match(tail, '"ttl":(%d+)'))
redis.call('SET', KEYS[1], head .. tail, 'PX', ttl)
return 1
