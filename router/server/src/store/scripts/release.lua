-- user, number of the hold
local hold = redis.call('ZSCORE', KEYS[1], ARGV[1])
if hold and tonumber(hold) <= tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
