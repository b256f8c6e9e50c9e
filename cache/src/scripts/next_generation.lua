-- from now on every copy with this tag is of the past
local time = redis.call('TIME')
local generation = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], generation)
return generation
