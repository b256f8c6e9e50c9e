-- console: measure the visitor's keys and check the quota
local known, keys, bytes = {}, 0, 0
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local size = redis.call('MEMORY', 'USAGE', name, 'SAMPLES', 0)
  if size then
    known[name], keys, bytes = true, keys + 1, bytes + size
  else
    redis.call('SREM', KEYS[1], name)
  end
end
local more = keys
for i = 2, #KEYS do
  if not known[KEYS[i]] then known[KEYS[i]], more = true, more + 1 end
end
if (more > keys and more > tonumber(ARGV[1])) or bytes > tonumber(ARGV[2]) then
  return {0, keys, bytes}
end
for i = 2, #KEYS do redis.call('SADD', KEYS[1], KEYS[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {1, keys, bytes}
