-- remove from the cart, and delete the product with its last item
local held = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local left = math.max(0, held - ARGV[2])
if held == 0 then return -1 end
if left > 0 then redis.call('HSET', KEYS[1], ARGV[1], left) else redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return left
