--- @include "lib/digits"
--- @include "lib/end_lease"
--- @include "lib/group_settle"
--- @include "lib/note_error"

--- fail_job(Q, lease, now, error, tally) -> {'FAILED'}
-- Ends a lease for good, without success: to the head of Q:failed. Without lease.token it is a lease that ran out
-- (no last_finish_ms, nothing to repeat). `error` may be nil.
-- writes Q:job:<id> Q:active Q:failed Q:idx:active Q:idx:failed Q:g:<gid>:inflight Q:groups:ready; 5 to 11 commands
local function fail_job(Q, lease, now, error, tally)
  local at = digits(now)
  local reply = end_lease(Q, lease, 'failed', now, {'FAILED'}, note_error({'failed_ms', at}, error, now), tally)
  redis.call('LPUSH', Q .. ':failed', lease.id)
  redis.call('ZADD', Q .. ':idx:failed', at, lease.id)
  tally.failed = true
  tally.finish = tally.finish or lease.token ~= nil
  if lease.gid then
    group_settle(Q, lease.gid, now, tally, -1)
  end
  return reply
end
