-- SETBIT for each user of a range
local new = 0
for user = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  new = new + 1 - redis.call('SETBIT', KEYS[1], string.format('%.0f', user), 1)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return new
