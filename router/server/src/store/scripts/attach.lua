-- node, whether there is a position, the position
attach(ARGV[1])
if first <= cur and call('EXISTS', EV) == 0 then first, bytes = cur + 1, 0 end
save()
local from = acked
if ARGV[2] == '1' then from = tonumber(ARGV[3]) end
local events, upto = {}, math.max(from, cur)
if first <= cur and from < cur then
  events = call('XRANGE', EV, num(from + 1), '+', 'COUNT', FETCH_MAX)
  if #events == FETCH_MAX then upto = tonumber(string.match(events[#events][1], '^%d+')) end
end
local expired = 0
if call('HLEN', RUNS) > call('ZCARD', DONE) then
  for _, text in ipairs(call('HVALS', RUNS)) do
    local r = read(text)
    if r.ended == 0 and r.lease <= now then expired = expired + 1 end
  end
end
return {first, cur, acked, from, upto, expired, events}
