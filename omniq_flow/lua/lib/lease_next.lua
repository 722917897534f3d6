--- @include "lib/lease_grouped"
--- @include "lib/lease_ungrouped"

--- lease_next(Q, most, how, tally, look) -> leases, over
-- Leases the next ready jobs: up to `most` while no group is ready, else one; `over` when none is left. None when there is none (or when 1,000
-- ghosts and misplaced groups were cleared away in this script: more may be left, and the wake-up left by flush_stats says so). Grouped and ungrouped jobs are
-- tried first in turn, the turn passes at each lease; groups are served round-robin, by Q:groups:ready alone, so full groups cost
-- nothing. `how` comes from leasing. `look` (or nil) is called with each lease before it is written; it writes nothing, and when it
-- returns false this lease is the last. The caller checks Q:paused, and calls flush_stats afterwards. lease: see lease_read.
-- reads and writes Q:wait Q:g:<gid>:* Q:groups:ready and what lease_read and lease_write name, reads Q:lane:rr Q:lease:seq; 8 commands and 2 a
-- job ungrouped, 17 grouped
local function lease_next(Q, most, how, tally, look)
  if not tally.leases then
    local turn = redis.call('MGET', Q .. ':lane:rr', Q .. ':lease:seq')
    tally.turn, tally.leases = turn[1] == '1' and '1' or '0', tonumber(turn[2]) or 0
    tally.skips = 0
  end
  local leases, over, grouped = {}, false, redis.call('EXISTS', Q .. ':groups:ready') == 1
  if grouped and tally.turn == '1' then leases = lease_ungrouped(Q, 1, how, tally, look) end
  if grouped and #leases == 0 then leases = lease_grouped(Q, how, tally, look) end
  if #leases == 0 then leases, over = lease_ungrouped(Q, most, how, tally, look) end
  if #leases % 2 == 1 then tally.turn = tally.turn == '1' and '0' or '1' end
  return leases, over
end
