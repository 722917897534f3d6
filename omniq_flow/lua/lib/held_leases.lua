--- held_leases(Q, claimed) -> {'JOBS', words...} | {'EMPTY'}
-- The reply of a reserve, at first and once more. claimed: {{id, token}...}; those that are not held under this token any more are left out.
-- words: id, payload, lock_until_ms, attempt, max_attempts, gid ('' for none), lease_token, timeout_ms.
-- reads Q:job:<id>, writes nothing; 1 command a job
local function held_leases(Q, claimed)
  local reply = {'JOBS'}
  for _, claim in ipairs(claimed) do
    local job = redis.call(
      'HMGET', Q .. ':job:' .. claim[1], 'state', 'lease_token', 'payload', 'lock_until_ms', 'attempt', 'max_attempts', 'gid', 'timeout_ms')
    if job[1] == 'active' and job[2] == claim[2] then
      reply[#reply + 1] = {
        claim[1], job[3] or '', tonumber(job[4]) or 0, tonumber(job[5]) or 0, tonumber(job[6]) or 1, job[7] or '', claim[2], tonumber(job[8]) or 0,
      }
    end
  end
  return #reply > 1 and reply or {'EMPTY'}
end
