--- @include "lib/lease_job"

--- lease_ungrouped(Q, now, lease_ms, token, tally) -> lease or nil
-- Leases the first job of the ungrouped line. Jobs without their hash are cleared away; tally.skips bounds how many of these a script takes on.
-- reads and writes Q:wait and what lease_job names; 6 commands, 3 for what is cleared away
local function lease_ungrouped(Q, now, lease_ms, token, tally)
  while tally.skips < 1000 do
    local id = redis.call('LPOP', Q .. ':wait')
    if not id then
      return nil
    end
    local lease = lease_job(Q, id, nil, now, lease_ms, token, tally)
    if lease then
      return lease
    end
    tally.skips = tally.skips + 1
    tally.wake = true
  end
  return nil
end
