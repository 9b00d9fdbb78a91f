-- node, number of the operation
local node, op = ARGV[1], tonumber(ARGV[2])
local answer, changed = {}, {}
local all = figures and call('HGETALL', ST) or {}
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == 'r' then
    local name, r = string.sub(all[i], 2), read(all[i + 1])
    local again = r.owner == node and r.taker == op
    if r.ended == 0 and (again or r.lease <= now) then
      if not again then
        r.epoch, r.owner, r.taker = r.epoch + 1, node, op
      end
      r.lease = now + LEASE
      changed[#changed + 1] = all[i]
      changed[#changed + 1] = written(r)
      answer[#answer + 1] = {name, r.epoch, r.seq, call('HGET', NOTE, name) or ''}
    end
  end
end
save(unpack(changed))
return answer
