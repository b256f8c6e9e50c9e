-- SADD and PFADD for each visitor of a range
local new = 0
for visitor = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local name = string.format('user:%.0f', visitor)
  new = new + redis.call('SADD', KEYS[1], name)
  redis.call('PFADD', KEYS[2], name)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return new
