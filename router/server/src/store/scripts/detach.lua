-- node
call('ZREM', AT, ARGV[1])
return 1
