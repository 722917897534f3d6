--- job_row(Q, id) -> {id, state | false, gid | false, lease_token | false, {lane...}, {lane...}}
-- What a doctor knows of a job at this instant, but for the lists: its hash, the sorted sets in which it stands, and the indexes that list it.
-- reads Q:job:<id> Q:active Q:delayed Q:idx:<lane>, writes nothing; 8 commands
local function job_row(Q, id)
  local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid', 'lease_token')
  local there = job[1] or redis.call('EXISTS', Q .. ':job:' .. id) == 1 and '' or false
  local spots, indexes = {}, {}
  for _, lane in ipairs({'active', 'delayed'}) do
    if redis.call('ZSCORE', Q .. ':' .. lane, id) then spots[#spots + 1] = lane end
  end
  for _, lane in ipairs({'wait', 'active', 'delayed', 'failed', 'completed'}) do
    if redis.call('ZSCORE', Q .. ':idx:' .. lane, id) then indexes[#indexes + 1] = lane end
  end
  return {id, there, job[2], job[3], spots, indexes}
end
