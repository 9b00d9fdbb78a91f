-- node
redis.call('ZADD', KEYS[1], string.format('%d', now + ALIVE), ARGV[1])
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%d', now), '+inf')
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%d', now), 'LIMIT', 0, PAGE_MAX)
return {alive, dead}
