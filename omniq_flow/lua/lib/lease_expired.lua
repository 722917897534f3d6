--- lease_expired(Q, id) -> lease | nil
-- The lease on a job whose time is over, without its token: nobody spends it. nil: the job is gone or is not active.
-- reads Q:job:<id>, writes nothing; 1 command
local function lease_expired(Q, id)
  local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid', 'attempt', 'max_attempts', 'backoff_ms')
  if job[1] ~= 'active' then
    return nil
  end
  return {
    id = id, gid = job[2] ~= '' and job[2], attempt = tonumber(job[3]) or 0, max_attempts = tonumber(job[4]) or 1,
    backoff_ms = tonumber(job[5]) or 0,
  }
end
