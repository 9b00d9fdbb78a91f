-- node, run, whether there is a message id, the id, the note
local node, id, note = ARGV[1], ARGV[4], ARGV[5]
local has_id = ARGV[3] == '1'

local function known(name, r)
  local open = r and r.ended == 0 and r.epoch > 0
  local mine = open and r.owner == node
  return {'KNOWN', name, r and r.epoch or 0, open and 1 or 0, mine and 1 or 0}
end

if has_id then
  local seen = call('ZSCORE', SEEN, id)
  if seen and tonumber(seen) + DEDUPE_TTL > now then
    local before = call('HGET', RAN, id)
    return known(before, row(before, call('HGET', ST, 'r' .. before)))
  end
end
local r = row(run, own)
if r then
  if r.epoch == 0 or (r.epoch == 1 and r.owner ~= node) then return {'RUN_TAKEN'} end
  return known(run, r)
end
if figures then
  local rows = call('HLEN', ST) - 1 - (at and 1 or 0)
  if rows - call('ZCARD', DONE) >= RUNS_MAX then return {'RUNS'} end
end
if notes + #note > NOTES_MAX then return {'QUOTA'} end

notes = notes + #note
call('HSET', NOTE, run, note)
if has_id then
  call('ZADD', SEEN, num(now), id)
  call('HSET', RAN, id, run)
  local gone = call('ZRANGEBYSCORE', SEEN, '-inf', num(now - DEDUPE_TTL), 'LIMIT', 0, 100)
  if #gone > 0 then
    call('ZREM', SEEN, unpack(gone))
    call('HDEL', RAN, unpack(gone))
  end
  local over = call('ZCARD', SEEN) - DEDUPE_MAX
  if over > 0 then
    local oldest = call('ZPOPMIN', SEEN, math.min(over, 1000))
    for i = 1, #oldest, 2 do call('HDEL', RAN, oldest[i]) end
  end
end
for _, key in ipairs({NOTE, SEEN, RAN}) do call('PEXPIRE', key, USER_KEPT) end
r = {epoch = 1, seq = 0, lease = now + LEASE, ended = 0, taker = 0, last = '', owner = node}
save('r' .. run, written(r))
return {'NEW'}
