--- @include "lib/lease_grouped"
--- @include "lib/lease_ungrouped"

--- lease_next(Q, now, lease_ms, token, tally) -> lease or nil
-- Leases the next ready job; nil when there is none (or when 1,000 ghosts and misplaced groups were cleared away in this script: more may be
-- left, and the wake-up left by flush_stats says so). Grouped and ungrouped jobs are tried first in turn, the turn passes at each
-- lease; groups are served round-robin, by Q:groups:ready alone, so full groups cost nothing. lease_ms > 0 replaces the
-- job's timeout_ms for this lock. The caller checks Q:paused, and calls flush_stats afterwards. lease: see lease_job.
-- reads and writes Q:wait Q:g:<gid>:* Q:groups:ready and what lease_job names, reads Q:lane:rr Q:lease:seq; 7 commands ungrouped, 16 grouped
local function lease_next(Q, now, lease_ms, token, tally)
  if not tally.leases then
    local turn = redis.call('MGET', Q .. ':lane:rr', Q .. ':lease:seq')
    tally.turn, tally.leases = turn[1], tonumber(turn[2]) or 0
    tally.skips = 0
  end
  local lease
  if tally.turn == '1' then
    lease = lease_ungrouped(Q, now, lease_ms, token, tally) or lease_grouped(Q, now, lease_ms, token, tally)
  else
    lease = lease_grouped(Q, now, lease_ms, token, tally) or lease_ungrouped(Q, now, lease_ms, token, tally)
  end
  if lease then
    tally.turn = tally.turn == '1' and '0' or '1'
  end
  return lease
end
