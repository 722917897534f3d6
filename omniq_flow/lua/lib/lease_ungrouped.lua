--- @include "lib/lease_read"
--- @include "lib/lease_write"

--- lease_ungrouped(Q, most, how, tally, look) -> leases, over
-- Leases the first jobs of the ungrouped line, at most `most`, none when there is none; `over` when the line is empty now. `look` as lease_next
-- says. Jobs without their hash are cleared away; tally.skips bounds how many of these a script takes on.
-- reads and writes Q:wait and what lease_read and lease_write name; 5 commands, 2 a job and 2 for what is cleared away
local function lease_ungrouped(Q, most, how, tally, look)
  local leases, over = {}, false
  while #leases == 0 and not over and tally.skips < 1000 do
    local ids, taken, seen = redis.call('LRANGE', Q .. ':wait', 0, most - 1), 0, {}
    if #ids == 0 then return leases, true end
    for k = 1, #ids do
      local id = ids[k]
      local lease = not seen[id] and lease_read(Q, id, nil, how, tally)
      taken, seen[id] = k, true
      if lease then
        leases[#leases + 1] = lease
        if look and not look(lease) then break end
      else
        tally.skips = tally.skips + 1
        tally.wake = true
      end
    end
    redis.call('LPOP', Q .. ':wait', taken)
    lease_write(Q, leases, how.now, tally)
    over = #ids < most and taken == #ids
  end
  return leases, over
end
