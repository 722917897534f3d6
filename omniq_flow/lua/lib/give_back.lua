--- @include "lib/digits"
--- @include "lib/end_lease"
--- @include "lib/enter_delayed"
--- @include "lib/enter_ready"
--- @include "lib/group_settle"

--- give_back(Q, lease, now, due_ms, tally) -> {'RELEASED'}
-- Ends a lease as if it had not been: the attempt is not counted; to the front of its ready lane (a group's too, where it came from), or into
-- the delayed lane when due_ms > now.
-- writes Q:job:<id> Q:active Q:wait Q:g:<gid>:* Q:groups:ready Q:delayed Q:idx:*; 5 to 11 commands
local function give_back(Q, lease, now, due_ms, tally)
  local attempt = digits(math.max(0, tonumber(lease.attempt) - 1))
  local reply
  if due_ms > now then
    reply = end_lease(Q, lease, 'delayed', now, {'RELEASED'}, {'attempt', attempt, 'due_ms', digits(due_ms)}, tally)
    enter_delayed(Q, lease.id, due_ms, now, tally)
  else
    reply = end_lease(Q, lease, 'wait', now, {'RELEASED'}, {'attempt', attempt}, tally)
    enter_ready(Q, {lease.id}, lease.gid, now, true, tally)
  end
  if lease.gid then
    group_settle(Q, lease.gid, now, tally, -1)
  end
  return reply
end
