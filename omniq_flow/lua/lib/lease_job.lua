--- @include "lib/digits"
--- @include "lib/lost_places"

--- lease_job(Q, id, gid, now, lease_ms, token, tally) -> lease or nil
-- Leases the job that was just popped off a ready lane (of the group `gid`, or ungrouped when nil). nil: a ghost, whose hash is gone,
-- is not waiting, or names another lane; it is forgotten. The lease token is `token` plus a number that Q:lease:seq makes unique.
-- lease: id, payload, token, lock_until_ms, attempt, max_attempts, timeout_ms, backoff_ms, gid, plan
-- reads and writes Q:job:<id>, writes Q:active Q:idx:active Q:idx:wait Q:lost; 5 commands
local function lease_job(Q, id, gid, now, lease_ms, token, tally)
  local key = Q .. ':job:' .. id
  local job = redis.call(
    'HMGET', key, 'state', 'gid', 'payload', 'attempt', 'max_attempts', 'timeout_ms', 'backoff_ms', 'first_started_ms', 'plan')
  tally.wait = true
  if job[1] ~= 'wait' then
    redis.call('ZREM', Q .. ':idx:wait', id)
    return nil
  end
  if (job[2] or '') ~= (gid or '') then
    return nil
  end
  local timeout_ms = tonumber(job[6]) or 0
  local lock = now + (lease_ms > 0 and lease_ms or timeout_ms)
  local attempt = (tonumber(job[4]) or 0) + 1
  local at = digits(now)
  tally.leases = tally.leases + 1
  local mine = token .. ':' .. digits(tally.leases)
  local first = (job[8] or '') == '' and at or job[8]
  redis.call(
    'HSET', key, 'state', 'active', 'attempt', digits(attempt), 'lock_until_ms', digits(lock), 'lease_token', mine, 'first_started_ms', first,
    'last_started_ms', at, 'updated_ms', at)
  redis.call('ZREM', Q .. ':idx:wait', id)
  if redis.call('ZADD', Q .. ':active', digits(lock), id) == 0 then
    lost_places(Q, now, tally)
  end
  redis.call('ZADD', Q .. ':idx:active', at, id)
  tally.active, tally.reserve, tally.wake = true, true, true
  return {
    id = id, payload = job[3] or '', token = mine, lock_until_ms = lock, attempt = attempt, max_attempts = tonumber(job[5]) or 1,
    timeout_ms = timeout_ms, backoff_ms = tonumber(job[7]) or 0, gid = gid, plan = job[9],
  }
end
