-- change one field of the JSON and renew the TTL
local held = redis.call('GET', KEYS[1])
local session = held and cjson.decode(held) or {}
session[ARGV[1]] = ARGV[2]
redis.call('SET', KEYS[1], cjson.encode(session), 'EX', ARGV[3])
return 1
