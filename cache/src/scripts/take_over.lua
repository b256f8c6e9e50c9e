-- take over what a consumer left behind
local stream, group, idle, most = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local taken = {}
for _, it in ipairs(redis.call('XPENDING', stream, group, '-', '+', ARGV[5])) do
  if #taken == most then break end
  if it[3] >= idle then
    local entry = redis.call('XCLAIM', stream, group, ARGV[2], ARGV[3], it[1])[1]
    if entry then taken[#taken + 1] = entry else redis.call('XACK', stream, group, it[1]) end
  end
end
return taken
