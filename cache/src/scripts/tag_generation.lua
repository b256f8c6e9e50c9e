-- read the generation of a tag, or start its first
local generation = redis.call('GET', KEYS[1])
local ttl = string.format('%.0f', 2 * ARGV[2])
if not generation then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
  return ARGV[1]
end
-- seldom, as each change of the key is pushed to the near caches
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ttl) end
return generation
