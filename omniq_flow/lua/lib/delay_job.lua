--- @include "lib/digits"
--- @include "lib/end_lease"
--- @include "lib/enter_delayed"
--- @include "lib/group_settle"
--- @include "lib/note_error"

--- delay_job(Q, lease, now, due_ms, error, tally) -> {'RETRY', due_ms as digits}
-- Ends a lease that is to be tried again: into the delayed lane, its attempt counted. Without lease.token it is a lease that ran out
-- (no last_finish_ms, nothing to repeat). `error` may be nil.
-- writes Q:job:<id> Q:active Q:delayed Q:idx:active Q:idx:delayed Q:g:<gid>:inflight Q:groups:ready; 5 to 11 commands
local function delay_job(Q, lease, now, due_ms, error, tally)
  local due = digits(due_ms)
  local reply = end_lease(Q, lease, 'delayed', now, {'RETRY', due}, note_error({'due_ms', due}, error, now), tally)
  enter_delayed(Q, lease.id, due_ms, now, tally)
  tally.finish = tally.finish or lease.token ~= nil
  if lease.gid then
    group_settle(Q, lease.gid, now, tally, -1)
  end
  return reply
end
