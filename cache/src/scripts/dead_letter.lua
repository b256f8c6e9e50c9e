-- move the write to the dead-letter stream
local entry = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local added = redis.pcall('XADD', KEYS[2], '*', 'id', ARGV[1], 'why', ARGV[2], unpack(entry[2]))
if type(added) == 'table' then return -1 end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
