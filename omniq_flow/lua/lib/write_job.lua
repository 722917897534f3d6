--- put_job(key, job, state, at, more)
-- Writes a job's hash but for what is told in `more` (fields and their values); job as enqueue_job says, `at` is now in digits.
-- What each lease asks for and changes stands first: a small hash is searched from its beginning.
-- writes the key; 1 command
local function put_job(key, job, state, at, more)
  redis.call('HSET', key, 'state', state, 'attempt', '0', 'updated_ms', at, 'timeout_ms', job.timeout_ms, 'payload', job.payload, 'max_attempts',
    job.max_attempts, 'backoff_ms', job.backoff_ms, 'created_ms', at, 'queued_ms', at, unpack(more))
end

--- write_job(Q, id, job, state, at, more, tally) -> true, or false: the id is in wait, delayed or active, it is left alone, nothing is written
-- Writes a job that is to enter a lane, which the caller sees to. An id in completed or failed leaves that lane and is written anew, as a new
-- job.
-- reads and writes Q:job:<id> Q:completed Q:failed Q:idx:completed Q:idx:failed; 2 commands, up to 5 (LREM over failed is linear in its length)
local function write_job(Q, id, job, state, at, more, tally)
  local key = Q .. ':job:' .. id
  local lane = redis.call('HGET', key, 'state')
  if lane then
    if lane ~= 'completed' and lane ~= 'failed' then return false end
    redis.call('LREM', Q .. ':' .. lane, 0, id)
    redis.call('ZREM', Q .. ':idx:' .. lane, id)
    redis.call('DEL', key)
    tally[lane] = true
  end
  put_job(key, job, state, at, {'id', id, unpack(more)})
  tally.enqueue = true
  return true
end
