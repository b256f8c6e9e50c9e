-- start a new generation: all copies with this tag become invalid
local time = redis.call('TIME')
local generation = string.format('%.0f', time[1] * 1000000 + time[2])
if ARGV[1] == '0' then
  redis.call('SET', KEYS[1], generation)
else
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[1])
end
return generation
