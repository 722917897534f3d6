--- @include "lib/digits"

--- write_job(Q, id, job, state, now, tally) -> true, or false: the id is in wait, delayed or active, it is left alone and nothing is written
-- Writes a job that is to enter a lane, which the caller sees to; job as enqueue_job says, which may be one for many ids. An id in completed or
-- failed leaves that lane and is written anew, as a new job.
-- reads and writes Q:job:<id> Q:completed Q:failed Q:idx:completed Q:idx:failed; 2 commands, up to 5 (LREM over failed is linear in its length)
local function write_job(Q, id, job, state, now, tally)
  local key, at = Q .. ':job:' .. id, digits(now)
  local lane = redis.call('HGET', key, 'state')
  if lane then
    if lane ~= 'completed' and lane ~= 'failed' then return false end
    redis.call('LREM', Q .. ':' .. lane, 0, id)
    redis.call('ZREM', Q .. ':idx:' .. lane, id)
    redis.call('DEL', key)
    tally[lane] = true
  end
  local more = {}
  if job.gid then more[1], more[2] = 'gid', job.gid end
  if state == 'delayed' then more[#more + 1], more[#more + 2] = 'due_ms', digits(job.due_ms) end
  if job.plan then more[#more + 1], more[#more + 2] = 'plan', job.plan end
  redis.call('HSET', key, 'id', id, 'payload', job.payload, 'state', state, 'attempt', '0', 'max_attempts', job.max_attempts, 'timeout_ms',
    job.timeout_ms, 'backoff_ms', job.backoff_ms, 'created_ms', at, 'updated_ms', at, 'queued_ms', at, unpack(more))
  tally.enqueue = true
  return true
end
