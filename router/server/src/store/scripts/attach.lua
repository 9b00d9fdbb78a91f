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
local expired = 0
if call('HLEN', ST) - 2 > call('ZCARD', DONE) then
  local all = call('HGETALL', ST)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'r' then
      local r = read(all[i + 1])
      if r.ended == 0 and r.lease <= now then expired = expired + 1 end
    end
  end
end
return {first, cur, acked, from, upto, expired, found}
