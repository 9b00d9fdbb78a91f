-- node
if at then call('HSET', ST, 'at', listeners(ARGV[1])) end
return 1
