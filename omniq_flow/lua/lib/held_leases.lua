--- @include "lib/lease_words"

--- held_leases(Q, claimed) -> {'JOBS', words...} | {'EMPTY'}
-- The reply of a reserve once more. claimed: {{id, token}...} of the first reply; those that are not held under this token any more are left out.
-- reads Q:job:<id>, writes nothing; 1 command a job
local function held_leases(Q, claimed)
  local reply = {'JOBS'}
  for _, claim in ipairs(claimed) do
    local job = redis.call(
      'HMGET', Q .. ':job:' .. claim[1], 'state', 'lease_token', 'payload', 'lock_until_ms', 'attempt', 'max_attempts', 'gid', 'timeout_ms')
    if job[1] == 'active' and job[2] == claim[2] then
      reply[#reply + 1] = lease_words({
        id = claim[1], token = claim[2], payload = job[3] or '', lock_until_ms = tonumber(job[4]) or 0, attempt = tonumber(job[5]) or 0,
        max_attempts = tonumber(job[6]) or 1, gid = job[7], timeout_ms = tonumber(job[8]) or 0,
      })
    end
  end
  return #reply > 1 and reply or {'EMPTY'}
end
