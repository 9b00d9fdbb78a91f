-- node, whether it is attached, runs and epochs
local node = ARGV[1]
local changed, standings = {}, {}
if ARGV[2] == '1' then changed = {'at', listeners(node, now + ATTACH)} end
for i = 3, args, 2 do
  local name = ARGV[i]
  local r = row(name, call('HGET', ST, 'r' .. name))
  local standing = 'HELD'
  if not r then
    standing = 'NO_RUN'
  elseif r.epoch ~= tonumber(ARGV[i + 1]) then
    standing = 'FENCED'
  elseif r.ended > 0 then
    standing = 'ENDED'
  else
    r.lease = now + LEASE
    changed[#changed + 1] = 'r' .. name
    changed[#changed + 1] = written(r)
  end
  standings[#standings + 1] = standing
end
save(unpack(changed))
return {cur, expired(), unpack(standings)}
