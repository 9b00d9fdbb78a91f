-- node, whether there is a position, the position
if first <= cur and call('EXISTS', EV) == 0 then first, bytes, events = cur + 1, 0, 0 end
save('at', listeners(ARGV[1], now + ATTACH))
local from = acked
if ARGV[2] == '1' then from = tonumber(ARGV[3]) end
local found, upto = {}, math.max(from, cur)
if first <= cur and from < cur then
  found = call('XRANGE', EV, num(from + 1), '+', 'COUNT', FETCH_MAX)
  if #found == FETCH_MAX then upto = tonumber(string.match(found[#found][1], '^%d+')) end
end
return {first, cur, acked, from, upto, expired(), found}
