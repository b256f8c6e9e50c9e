-- register the keys of this demo, each with a TTL
local time = redis.call('TIME')
for i = 2, #KEYS do
  if redis.call('TTL', KEYS[i]) == -1 then redis.call('EXPIRE', KEYS[i], ARGV[1]) end
  redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
local old = redis.call('ZRANGE', KEYS[1], 0, -1 - tonumber(ARGV[2]))
for _, name in ipairs(old) do redis.call('ZREM', KEYS[1], name) end
return old
