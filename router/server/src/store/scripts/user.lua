-- What every operation on a user begins with. Ahead of it stand the bounds, `now` (milliseconds of the store's clock),
-- `args` (how many arguments there are) and `run` (the run that it is about, if any). As few commands as can be: what is
-- needed at every event lies in one hash, and is read by one command and written by one.
local call = redis.call
local ST, EV, NOTE, DONE, SEEN, RAN = unpack(KEYS)

local function num(n) return string.format('%d', n) end

local fields = call('HMGET', ST, '.', 'at', 'r' .. (run or ''))
local figures, at, own = fields[1], fields[2], fields[3]

-- The figures, nine numbers in binary, for that is twice as fast as text: `log` and `alive` say until when the log and
-- everything else count. The keys themselves are given longer, so that no key goes before its time.
local cur, acked, first, bytes, events, log, alive, notes, kept = 0, 0, 1, 0, 0, 0, 0, 0, 0
if figures then
  cur, acked, first, bytes, events, log, alive, notes, kept = struct.unpack('>ddddddddd', figures)
end
if alive <= now then
  call('DEL', ST, EV, NOTE, DONE, SEEN, RAN)
  cur, acked, first, bytes, events, log, notes, kept = 0, 0, 1, 0, 0, 0, 0, 0
  figures, at, own = false, false, false
elseif first <= cur and log <= now then
  call('DEL', EV)
  first, bytes, events = cur + 1, 0, 0
end

-- Writes the figures, and further fields with them.
local function save(...)
  local due = now - kept >= KEEP_EVERY
  if due then kept = now end
  call('HSET', ST, '.', struct.pack('>ddddddddd',
    cur, acked, first, bytes, events, log, now + USER_TTL, notes, kept), ...)
  if due then
    for _, key in ipairs({ST, NOTE, DONE, SEEN, RAN}) do call('PEXPIRE', key, USER_KEPT) end
    call('PEXPIRE', EV, LOG_KEPT)
  end
end

-- A row of the run table: epoch, last event, end of the lease, when it ended (frames of no run: when it was used),
-- the operation that took it over; its owner; its last appends, each as number, length and cursor of the first.
local function read(text)
  local epoch, seq, lease, ended, taker, owner, rest = struct.unpack('>ddddds', text)
  return {
    epoch = epoch, seq = seq, lease = lease, ended = ended, taker = taker, owner = owner,
    last = string.sub(text, rest),
  }
end

local function written(r)
  return struct.pack('>ddddds', r.epoch, r.seq, r.lease, r.ended, r.taker, r.owner) .. r.last
end

-- The row that a text is; none when it ended long enough ago.
local function row(name, text)
  if not text then return nil end
  local r = read(text)
  if r.ended > 0 and r.ended + ENDED_TTL <= now then
    call('HDEL', ST, 'r' .. name)
    call('ZREM', DONE, name)
    return nil
  end
  return r
end

local function forget(names)
  if #names == 0 then return end
  call('ZREM', DONE, unpack(names))
  for i, name in ipairs(names) do names[i] = 'r' .. name end
  call('HDEL', ST, unpack(names))
end

-- Nodes that attached, each behind the time until when; `node` anew until then, or no more.
local function listeners(node, till)
  local list = {}
  for other_till, other in string.gmatch(at or '', '(%d+) (%S+)') do
    if other ~= node and tonumber(other_till) > now then list[#list + 1] = other_till .. ' ' .. other end
  end
  if till then list[#list + 1] = num(till) .. ' ' .. node end
  return table.concat(list, ' ')
end

-- Open runs whose lease has run out.
local function expired()
  local count = 0
  if call('HLEN', ST) - (at and 2 or 1) > call('ZCARD', DONE) then
    local all = call('HGETALL', ST)
    for i = 1, #all, 2 do
      if string.sub(all[i], 1, 1) == 'r' then
        local r = read(all[i + 1])
        if r.ended == 0 and r.lease <= now then count = count + 1 end
      end
    end
  end
  return count
end
