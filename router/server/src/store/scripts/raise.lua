-- the greatest cursor that was shown
local seen = tonumber(ARGV[1])
local raised = 0
if seen > cur and seen <= CURSOR_MAX - RAISE_BY then
  local empty = first > cur
  cur, raised = seen + RAISE_BY, 1
  if empty then first = cur + 1 end
end
save()
return {cur, raised}
