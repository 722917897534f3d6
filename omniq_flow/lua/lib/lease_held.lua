--- lease_held(Q, id, token) -> lease or nil
-- The lease on a job, if it is held under this token, as complete_jobs takes it: id, key, token, gid. For those who need not tell why it is not
-- (see lease_check).
-- reads Q:job:<id>, writes nothing; 1 command
local function lease_held(Q, id, token)
  local key = Q .. ':job:' .. id
  local job = redis.call('HMGET', key, 'state', 'lease_token', 'gid')
  if job[1] ~= 'active' or job[2] ~= token or token == '' then return nil end
  return {id = id, key = key, token = token, gid = job[3] ~= '' and job[3]}
end
