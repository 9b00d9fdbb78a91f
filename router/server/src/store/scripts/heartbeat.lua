-- node
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ALIVE), ARGV[1])
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, PAGE_MAX)
return {alive, dead}
