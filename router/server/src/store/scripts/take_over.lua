-- node, number of the operation
local node, op = ARGV[1], ARGV[2]
local answer = {}
local rows = call('HGETALL', RUNS)
for i = 1, #rows, 2 do
  local run, r = rows[i], read(rows[i + 1])
  local again = r.owner == node and r.taker == op
  if r.ended == 0 and (again or r.lease <= now) then
    if not again then
      r.epoch, r.owner, r.taker = r.epoch + 1, node, op
    end
    r.lease = now + LEASE
    put(run, r)
    answer[#answer + 1] = {run, r.epoch, r.seq, call('HGET', NOTE, run) or ''}
  end
end
save()
return answer
