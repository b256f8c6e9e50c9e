-- the resource: reject fencing tokens older than the last one
local seen = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
if tonumber(ARGV[1]) < seen then return {0, tostring(seen)} end
local held = redis.call('HGET', KEYS[1], 'value') or ''
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'value', ARGV[2]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {1, held}
