-- node, run, whether there is a message id, the id, the note
local node, run, id, note = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local has_id = ARGV[3] == '1'

local function known(run, r)
  local mine = r and r.owner == node and r.ended == 0 and r.epoch > 0
  return {'KNOWN', run, r and r.epoch or 0, mine and 1 or 0}
end

if has_id then
  local at = call('ZSCORE', SEEN, id)
  if at and tonumber(at) + DEDUPE_TTL > now then
    local before = call('HGET', RAN, id)
    return known(before, row(before))
  end
end
local r = row(run)
if r then
  if r.epoch == 0 or (r.epoch == 1 and r.owner ~= node) then return {'RUN_TAKEN'} end
  return known(run, r)
end
if call('HLEN', RUNS) - call('ZCARD', DONE) >= RUNS_MAX then return {'RUNS'} end
if notes + #note > NOTES_MAX then return {'QUOTA'} end

notes = notes + #note
put(run, {epoch = 1, seq = 0, lease = now + LEASE, ended = 0, taker = '0', last = '-', owner = node})
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
for _, key in ipairs({RUNS, NOTE, SEEN, RAN}) do call('PEXPIRE', key, USER_KEPT) end
save()
return {'NEW'}
