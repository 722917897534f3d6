--- @include "lib/group_room"
--- @include "lib/group_settle"
--- @include "lib/lease_job"

--- lease_next(Q, now, lease_ms, token, tally) -> lease or nil
-- Leases the next ready job; nil when there is none (or when 1,000 ghosts and misplaced groups were cleared away in this script: more may be
-- left, and the wake-up left by flush_stats says so). Grouped and ungrouped jobs are tried first in turn, the turn passes at each
-- lease; groups are served round-robin, by Q:groups:ready alone, so full groups cost nothing. lease_ms > 0 replaces the
-- job's timeout_ms for this lock. The caller checks Q:paused, and calls flush_stats afterwards. lease: see lease_job.
-- reads and writes Q:wait Q:g:<gid>:* Q:groups:ready and what lease_job names, reads Q:lane:rr Q:lease:seq; 7 commands ungrouped, 15 grouped
local function lease_next(Q, now, lease_ms, token, tally)
  if not tally.leases then
    local turn = redis.call('MGET', Q .. ':lane:rr', Q .. ':lease:seq')
    tally.turn = turn[1] == '1' and '1' or '0'
    tally.leases = tonumber(turn[2]) or 0
    tally.skips = 0
  end

  local function skip()
    tally.skips = tally.skips + 1
    tally.wake = true
    return tally.skips <= 1000
  end

  local function grouped()
    while true do
      local gid = redis.call('ZRANGE', Q .. ':groups:ready', 0, 0)[1]
      if not gid then return nil end
      local leases, limit = group_room(Q, gid)
      local id = leases < limit and redis.call('LPOP', Q .. ':g:' .. gid .. ':wait')
      local lease = id and lease_job(Q, id, gid, now, lease_ms, token, tally)
      group_settle(Q, gid, now, tally, lease and 1 or 0)
      if lease then return lease end
      if not skip() then return nil end
    end
  end

  local function ungrouped()
    while true do
      local id = redis.call('LPOP', Q .. ':wait')
      if not id then return nil end
      local lease = lease_job(Q, id, nil, now, lease_ms, token, tally)
      if lease then return lease end
      if not skip() then return nil end
    end
  end

  local lease
  if tally.turn == '1' then
    lease = ungrouped() or grouped()
  else
    lease = grouped() or ungrouped()
  end
  if lease then
    tally.turn = tally.turn == '1' and '0' or '1'
  end
  return lease
end
