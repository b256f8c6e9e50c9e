-- store the value and queue it for the database
local time = redis.call('TIME')
local stamp = time[1] * 1000000 + time[2]
if stamp > tonumber(ARGV[2]) then return {0, 'late'} end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return {0, 'full'} end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[2], 'flushers', '0', 'MKSTREAM')
end
local last = redis.pcall('GET', KEYS[3])
stamp = math.max(stamp, (type(last) == 'string' and tonumber(last) or 0) + 1)
local version, pending = 0, nil
local entry = redis.pcall('GET', KEYS[1])
if type(entry) == 'string' then
  version = tonumber(string.match(entry, '^{"version":(%d+)') or 0)
  pending = string.match(entry, '^{"version":%d+,"pending":(%d+)')
end
version = math.max(version, tonumber(ARGV[1])) + 1
if pending and tonumber(pending) >= stamp then stamp = tonumber(pending) + 1 end
local v, s = string.format('%.0f', version), string.format('%.0f', stamp)
redis.call('XADD', KEYS[2], '*', 'key', ARGV[4], 'version', v, 'stamp', s, 'value', ARGV[6])
redis.call('SET', KEYS[1], '{"version":' .. v .. ',"pending":' .. s .. ',' .. ARGV[5])
redis.call('SET', KEYS[3], s, 'PX', ARGV[8])
local known = redis.pcall('GET', KEYS[4])
local at = type(known) == 'string' and string.match(known, '^%d+(:%d+)$') or ''
redis.call('SET', KEYS[4], v .. at, 'PX', ARGV[7])
return {1, version, stamp}
