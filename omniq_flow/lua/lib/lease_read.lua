--- @include "lib/digits"

--- leasing(now, lease_ms, token) -> how to lease
-- What all leases of one script have in common, for lease_next and its parts. lease_ms > 0 replaces the jobs' own timeouts; `token` is how their
-- tokens begin, which Q:lease:seq makes unique.
local function leasing(now, lease_ms, token)
  return {now = now, at = digits(now), lock = lease_ms > 0 and digits(now + lease_ms), token = token .. ':'}
end

--- lease_read(Q, id, gid, how, tally) -> lease or nil
-- Makes a lease of the job that stands first in a ready lane (of the group `gid`, or ungrouped when nil); lease_write writes it. nil: a ghost,
-- whose hash is gone, is not waiting, or names another lane; it is forgotten, and the caller takes it off the lane.
-- lease: id, key, token, lock (digits), attempt (digits), first (when it was first started, digits), gid, plan; job, run: false, for the
-- caller (a table that is given more fields later on is laid out anew)
-- reads Q:job:<id>, writes Q:idx:wait; 1 command, 2 for a ghost
local function lease_read(Q, id, gid, how, tally)
  local key = Q .. ':job:' .. id
  local job = redis.call('HMGET', key, 'state', 'attempt', 'gid', 'timeout_ms', 'plan', 'first_started_ms')
  tally.wait = true
  if job[1] ~= 'wait' then
    redis.call('ZREM', Q .. ':idx:wait', id)
    return nil
  end
  if (job[3] or '') ~= (gid or '') then return nil end
  tally.leases = tally.leases + 1
  return {
    id = id, key = key, token = how.token .. digits(tally.leases), lock = how.lock or digits(how.now + (tonumber(job[4]) or 0)),
    attempt = job[2] == '0' and '1' or digits((tonumber(job[2]) or 0) + 1), first = job[6] ~= '' and job[6] or how.at, gid = gid,
    plan = job[5], job = false, run = false,
  }
end
