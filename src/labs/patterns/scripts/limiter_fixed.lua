-- fixed window: count the request, allow it within the limit
local used = redis.call('INCR', KEYS[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local time = redis.call('TIME')
local allowed = used <= tonumber(ARGV[1])
return {allowed and 1 or 0, math.max(0, ARGV[1] - used), redis.call('PTTL', KEYS[1]),
  time[1] * 1000000 + time[2]}
