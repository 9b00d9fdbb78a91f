-- node
local until_ = redis.call('ZSCORE', KEYS[1], ARGV[1])
if until_ and tonumber(until_) <= now then redis.call('ZREM', KEYS[1], ARGV[1]) end
return 1
