--- @include "lib/digits"

--- lease_read(Q, id, gid, now, lease_ms, token, tally) -> lease or nil
-- Makes a lease of the job that stands first in a ready lane (of the group `gid`, or ungrouped when nil); lease_write writes it. nil: a ghost,
-- whose hash is gone, is not waiting, or names another lane; it is forgotten, and the caller takes it off the lane. The lease token
-- is `token` plus a number that Q:lease:seq makes unique.
-- lease: id, key, token, lock (digits), attempt, first (when it was first started, digits), gid, plan
-- reads Q:job:<id>, writes Q:idx:wait; 1 command, 2 for a ghost
local function lease_read(Q, id, gid, now, lease_ms, token, tally)
  local key, at = Q .. ':job:' .. id, digits(now)
  local job = redis.call('HMGET', key, 'state', 'attempt', 'gid', 'timeout_ms', 'plan', 'first_started_ms')
  tally.wait = true
  if job[1] ~= 'wait' then
    redis.call('ZREM', Q .. ':idx:wait', id)
    return nil
  end
  if (job[3] or '') ~= (gid or '') then return nil end
  tally.leases = tally.leases + 1
  return {
    id = id, key = key, token = token .. ':' .. digits(tally.leases),
    lock = digits(now + (lease_ms > 0 and lease_ms or tonumber(job[4]) or 0)), attempt = (tonumber(job[2]) or 0) + 1,
    first = job[6] ~= '' and job[6] or at, gid = gid, plan = job[5],
  }
end
