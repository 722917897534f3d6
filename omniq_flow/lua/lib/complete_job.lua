--- @include "lib/digits"
--- @include "lib/end_lease"
--- @include "lib/group_settle"

--- complete_job(Q, lease, now, tally) -> {'OK'}
-- Ends a lease with success. `lease` comes from lease_next or lease_check. Q:completed keeps the last 100; a job trimmed off it loses its
-- hash too, unless the id was queued anew meanwhile.
-- writes Q:job:<id> Q:active Q:completed Q:idx:active Q:idx:completed Q:g:<gid>:inflight Q:groups:ready; 5 to 15 commands
local function complete_job(Q, lease, now, tally)
  local at = digits(now)
  local reply = end_lease(Q, lease, 'completed', now, {'OK'}, {'completed_ms', at}, tally)
  local kept = redis.call('LPUSH', Q .. ':completed', lease.id)
  redis.call('ZADD', Q .. ':idx:completed', at, lease.id)
  tally.completed, tally.finish = true, true
  if kept > 100 then
    for _, id in ipairs(redis.call('RPOP', Q .. ':completed', math.min(kept - 100, 1000))) do
      if redis.call('HGET', Q .. ':job:' .. id, 'state') == 'completed' then
        redis.call('DEL', Q .. ':job:' .. id)
      end
      redis.call('ZREM', Q .. ':idx:completed', id)
    end
  end
  if lease.gid then
    group_settle(Q, lease.gid, now, tally, -1)
  end
  return reply
end
