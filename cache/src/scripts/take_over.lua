-- claim entries that other consumers abandoned
local stream, group, idle, max = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local claimed = {}
for _, pending in ipairs(redis.call('XPENDING', stream, group, '-', '+', ARGV[5])) do
  if #claimed == max then break end
  if pending[3] >= idle then
    local entry = redis.call('XCLAIM', stream, group, ARGV[2], ARGV[3], pending[1])[1]
    if entry then claimed[#claimed + 1] = entry else redis.call('XACK', stream, group, pending[1]) end
  end
end
return claimed
