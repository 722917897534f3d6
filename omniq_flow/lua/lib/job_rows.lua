--- job_rows(Q, ids) -> {{id, state | false, gid | false, lease_token | false, {lane...}, {lane...}}...}
-- What a doctor knows of jobs at this instant, but for the lists: their hashes (state '' for a hash without one), the sorted sets in which they
-- stand, and the indexes that list them. At most 1,000 ids.
-- reads Q:job:<id> Q:active Q:delayed Q:idx:<lane>, writes nothing; 7 commands and 1 a job
local function job_rows(Q, ids)
  local rows = {}
  if #ids == 0 then return rows end
  for k, id in ipairs(ids) do
    local key = Q .. ':job:' .. id
    local job = redis.call('HMGET', key, 'state', 'gid', 'lease_token')
    rows[k] = {id, job[1] or redis.call('EXISTS', key) == 1 and '', job[2], job[3], {}, {}}
  end
  local function note(set, name, place)
    for k, score in ipairs(redis.call('ZMSCORE', Q .. ':' .. set, unpack(ids))) do
      if score then rows[k][place][#rows[k][place] + 1] = name end
    end
  end
  for _, lane in ipairs({'active', 'delayed'}) do note(lane, lane, 5) end
  for _, lane in ipairs({'wait', 'active', 'delayed', 'failed', 'completed'}) do note('idx:' .. lane, lane, 6) end
  return rows
end
