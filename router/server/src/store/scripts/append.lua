-- node, run, epoch, first seq, whether it ends the run, whether there is a note, the note, frames
local node, epoch, seq = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local n = args - 7
if n < 1 or n > EVENTS_MAX or seq < 1 then return {'MALFORMED'} end

local r = row(run, own)
if not r and epoch == 0 then
  r = {epoch = 0, seq = 0, lease = 0, ended = now, taker = 0, last = '', owner = node}
end
if not r then return {'NO_RUN'} end
if r.epoch ~= epoch then return {'FENCED'} end
if seq <= r.seq then
  for i = 1, #r.last, 24 do
    local number, length, cursor = struct.unpack('>ddd', r.last, i)
    if number == seq and length == n then return {'KNOWN', r.seq, cursor} end
  end
  return {'KNOWN', r.seq, 0}
end
if epoch > 0 and r.ended > 0 then return {'ENDED'} end
if seq > r.seq + 1 then return {'GAP', r.seq} end
local added = 0
for i = 8, args do
  if #ARGV[i] > LOG_BYTES then return {'TOO_LARGE'} end
  added = added + #ARGV[i]
end
if n > CURSOR_MAX - cur then return {'USED_UP'} end

-- The log, then what is too much of it. A key that is gone before its time makes a new log.
local from = cur + 1
local there = first < from
for i = 8, args do
  cur = cur + 1
  local id, number = num(cur) .. '-0', num(seq + cur - from)
  if not there or not call('XADD', EV, 'NOMKSTREAM', id, 'r', run, 's', number, 'f', ARGV[i]) then
    call('XADD', EV, id, 'r', run, 's', number, 'f', ARGV[i])
    call('PEXPIRE', EV, LOG_KEPT)
    first, bytes, events, there = from, 0, 0, true
  end
end
bytes, events = bytes + added, events + n
while events > LOG_EVENTS or bytes > LOG_BYTES do
  local oldest = call('XRANGE', EV, '-', '+', 'COUNT', 2)
  call('XDEL', EV, oldest[1][1])
  bytes, events = bytes - #oldest[1][2][6], events - 1
  first = tonumber(string.match(oldest[2][1], '^%d+'))
end
log = now + LOG_TTL

-- The row.
r.last = string.sub(r.last .. struct.pack('>ddd', seq, n, from), -24 * IN_FLIGHT)
r.seq = r.seq + n
local over = epoch == 0 or ARGV[5] == '1'
if over then
  r.ended, r.lease = now, 0
  if epoch > 0 then
    notes = notes - call('HSTRLEN', NOTE, run)
    call('HDEL', NOTE, run)
  end
elseif ARGV[6] == '1' then
  notes = notes - call('HSTRLEN', NOTE, run) + #ARGV[7]
  call('HSET', NOTE, run, ARGV[7])
  call('PEXPIRE', NOTE, USER_KEPT)
end
save('r' .. run, written(r))
if over then
  call('ZADD', DONE, num(now), run)
  call('PEXPIRE', DONE, USER_KEPT)
  forget(call('ZRANGEBYSCORE', DONE, '-inf', num(now - ENDED_TTL)))
  local many = call('ZCARD', DONE) - ENDED_MAX
  if many > 0 then forget(call('ZRANGE', DONE, 0, many - 1)) end
end

-- Tells whoever else attached: a line of numbers, then the run's name and the frames. Who appends has the frames, and
-- learns their cursors by the answer.
local wake
for till, name in string.gmatch(at or '', '(%d+) (%S+)') do
  if name ~= node and tonumber(till) > now then
    if not wake then
      local line, body = {string.sub(KEYS[1], 5, -5), num(from), num(seq), #run}, {run}
      for i = 8, args do
        line[#line + 1] = #ARGV[i]
        body[#body + 1] = ARGV[i]
      end
      wake = table.concat(line, ' ') .. '\n' .. table.concat(body)
    end
    call('PUBLISH', 'gp:n:' .. name, wake)
  end
end
return {'LOGGED', from}
