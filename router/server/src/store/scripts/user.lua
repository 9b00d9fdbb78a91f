-- What every operation on a user begins with. Ahead of it stand the bounds, `now` (milliseconds of the store's clock)
-- and `args` (how many arguments there are).
local call = redis.call
local ST, RUNS, NOTE, DONE, EV, AT, SEEN, RAN = unpack(KEYS)

local function num(n) return string.format('%.0f', n) end

-- The user's figures: one small text. `log` and `alive` say until when the log and everything else count; the keys
-- themselves are given longer, so that no key goes before its time.
local cur, acked, first, bytes, log, alive, notes, kept
local text = call('GET', ST)
if text then
  cur, acked, first, bytes, log, alive, notes, kept =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  cur, acked, first, bytes = tonumber(cur), tonumber(acked), tonumber(first), tonumber(bytes)
  log, alive, notes, kept = tonumber(log), tonumber(alive), tonumber(notes), tonumber(kept)
end
if not text or alive <= now then
  call('DEL', ST, RUNS, NOTE, DONE, EV, AT, SEEN, RAN)
  cur, acked, first, bytes, log, alive, notes, kept = 0, 0, 1, 0, 0, 0, 0, 0
elseif first <= cur and log <= now then
  call('DEL', EV)
  first, bytes = cur + 1, 0
end

local function save()
  if now - kept >= KEEP_EVERY then
    kept = now
    for _, key in ipairs({RUNS, NOTE, DONE, SEEN, RAN}) do call('PEXPIRE', key, USER_KEPT) end
    call('PEXPIRE', EV, LOG_KEPT)
  end
  call('SET', ST, string.format('%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f',
    cur, acked, first, bytes, log, now + USER_TTL, notes, kept), 'PX', USER_KEPT)
end

-- A row of the run table: epoch, last event, end of the lease, when it ended (frames of no run: when it was used),
-- the operation that took it over, its last appends, its owner.
local function read(text)
  local epoch, seq, lease, ended, taker, last, owner =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+)$')
  return {
    epoch = tonumber(epoch), seq = tonumber(seq), lease = tonumber(lease), ended = tonumber(ended),
    taker = taker, last = last, owner = owner,
  }
end

local function row(run)
  local text = call('HGET', RUNS, run)
  if not text then return nil end
  local r = read(text)
  if r.ended > 0 and r.ended + ENDED_TTL <= now then
    call('HDEL', RUNS, run)
    call('ZREM', DONE, run)
    return nil
  end
  return r
end

local function put(run, r)
  call('HSET', RUNS, run, string.format('%.0f %.0f %.0f %.0f %s %s %s',
    r.epoch, r.seq, r.lease, r.ended, r.taker, r.last, r.owner))
end

local function attach(node)
  call('ZREMRANGEBYSCORE', AT, '-inf', num(now))
  call('ZADD', AT, num(now + ATTACH), node)
  call('PEXPIRE', AT, num(ATTACH + SLACK))
end
