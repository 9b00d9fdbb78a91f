-- cursor
acked = math.max(acked, math.min(tonumber(ARGV[1]), cur))
save()
return acked
