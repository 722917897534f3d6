--- @include "lib/digits"
--- @include "lib/enter_ready"
--- @include "lib/group_settle"

--- retry_job(Q, id, now, tally) -> 'OK' | 'NO_JOB' | 'NOT_FAILED'
-- Puts a failed job back into its ready lane as if it had never been tried. Anything but OK writes nothing.
-- reads and writes Q:job:<id> Q:failed Q:idx:failed Q:idx:wait Q:wait Q:g:<gid>:wait Q:groups:ready; 6 to 12 commands (LREM over failed is linear
-- in its length)
local function retry_job(Q, id, now, tally)
  local key = Q .. ':job:' .. id
  local job = redis.call('HMGET', key, 'state', 'gid')
  if not job[1] then
    return 'NO_JOB'
  end
  if job[1] ~= 'failed' then
    return 'NOT_FAILED'
  end
  local gid = job[2] ~= '' and job[2]
  redis.call('LREM', Q .. ':failed', 0, id)
  redis.call('ZREM', Q .. ':idx:failed', id)
  redis.call('HSET', key, 'state', 'wait', 'attempt', '0', 'due_ms', '', 'failed_ms', '', 'updated_ms', digits(now))
  tally.failed = true
  enter_ready(Q, {id}, gid, now, false, tally)
  if gid then
    group_settle(Q, gid, now, tally, 0)
  end
  return 'OK'
end
