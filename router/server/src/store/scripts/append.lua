-- node, run, epoch, first seq, whether it ends the run, whether there is a note, the note, frames
local node, run, epoch, seq = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local n = args - 7
if n < 1 or n > EVENTS_MAX or seq < 1 then return {'MALFORMED'} end

local r = row(run)
if not r and epoch == 0 then
  r = {epoch = 0, seq = 0, lease = 0, ended = now, taker = '0', last = '-', owner = node}
end
if not r then return {'NO_RUN'} end
if r.epoch ~= epoch then return {'FENCED'} end
if seq <= r.seq then
  local first = string.match(',' .. r.last .. ',', ',' .. num(seq) .. ':' .. n .. ':(%d+),')
  return {'KNOWN', r.seq, first and tonumber(first) or 0}
end
if epoch > 0 and r.ended > 0 then return {'ENDED'} end
if seq > r.seq + 1 then return {'GAP', r.seq} end
local added = 0
for i = 8, args do
  if #ARGV[i] > LOG_BYTES then return {'TOO_LARGE'} end
  added = added + #ARGV[i]
end
if cur + n > CURSOR_MAX then return {'USED_UP'} end

-- The log, then what is too much of it.
local from = cur + 1
for i = 8, args do
  cur = cur + 1
  call('XADD', EV, num(cur) .. '-0', 'r', run, 's', num(seq + cur - from), 'f', ARGV[i])
end
bytes = bytes + added
local length = call('XLEN', EV)
if length == n then
  call('PEXPIRE', EV, LOG_KEPT)
  first, bytes = from, added
end
while length > LOG_EVENTS or bytes > LOG_BYTES do
  local oldest = call('XRANGE', EV, '-', '+', 'COUNT', 2)
  call('XDEL', EV, oldest[1][1])
  bytes = bytes - #oldest[1][2][6]
  length = length - 1
  first = tonumber(string.match(oldest[2][1], '^%d+'))
end
log = now + LOG_TTL

-- The row.
local this = num(seq) .. ':' .. n .. ':' .. num(from)
if r.last == '-' then
  r.last = this
else
  r.last = r.last .. ',' .. this
  local _, commas = string.gsub(r.last, ',', ',')
  if commas >= IN_FLIGHT then r.last = string.match(r.last, '^[^,]*,(.*)$') end
end
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
put(run, r)
if over then
  call('ZADD', DONE, num(now), run)
  local gone = call('ZRANGEBYSCORE', DONE, '-inf', num(now - ENDED_TTL))
  if #gone > 0 then
    call('ZREM', DONE, unpack(gone))
    call('HDEL', RUNS, unpack(gone))
  end
  local many = call('ZCARD', DONE) - ENDED_MAX
  if many > 0 then
    local oldest = call('ZPOPMIN', DONE, many)
    for i = 1, #oldest, 2 do call('HDEL', RUNS, oldest[i]) end
  end
  call('PEXPIRE', DONE, USER_KEPT)
  call('PEXPIRE', RUNS, USER_KEPT)
end
save()

-- Tells whoever attached: a line of numbers, then the run's name and the frames.
local nodes = call('ZRANGEBYSCORE', AT, '(' .. num(now), '+inf')
if #nodes > 0 then
  local line = {string.sub(KEYS[1], 5, -5), num(from), num(seq), #run}
  local body = {run}
  for i = 8, args do
    line[#line + 1] = #ARGV[i]
    body[#body + 1] = ARGV[i]
  end
  local wake = table.concat(line, ' ') .. '\n' .. table.concat(body)
  for _, name in ipairs(nodes) do call('PUBLISH', 'gp:n:' .. name, wake) end
end
return {'LOGGED', from}
