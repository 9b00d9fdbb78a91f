-- node, whether it is attached, runs and epochs
local node = ARGV[1]
if ARGV[2] == '1' then attach(node) end
local answer = {cur}
for i = 3, args, 2 do
  local r = row(ARGV[i])
  local standing = 'HELD'
  if not r then
    standing = 'NO_RUN'
  elseif r.epoch ~= tonumber(ARGV[i + 1]) then
    standing = 'FENCED'
  elseif r.ended > 0 then
    standing = 'ENDED'
  else
    r.lease = now + LEASE
    put(ARGV[i], r)
  end
  answer[#answer + 1] = standing
end
save()
return answer
