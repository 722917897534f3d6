--- @include "lib/group_settle"

--- remove_one(Q, id, lane, now, tally) -> 'OK' | 'BAD_JOB_ID' | 'NO_JOB' | 'ACTIVE' | 'LANE_MISMATCH' | 'NOT_IN_LANE'
-- Deletes a job from the lane it is said to be in: wait (ungrouped), gwait (grouped), delayed, failed or completed. Anything but OK
-- writes nothing.
-- reads and writes Q:job:<id>, the lane, its index, Q:groups:ready; 4 to 10 commands (a list lane is searched through)
local function remove_one(Q, id, lane, now, tally)
  if id == '' then
    return 'BAD_JOB_ID'
  end
  local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid')
  local state, gid = job[1], job[2] ~= '' and job[2]
  if not state then
    return 'NO_JOB'
  end
  if state == 'active' then
    return 'ACTIVE'
  end
  if state ~= (lane == 'gwait' and 'wait' or lane) or (lane == 'gwait' and not gid) then
    return 'LANE_MISMATCH'
  end
  local found
  if lane == 'delayed' then
    found = redis.call('ZREM', Q .. ':delayed', id)
  elseif lane == 'gwait' then
    found = redis.call('LREM', Q .. ':g:' .. gid .. ':wait', 0, id)
  else
    found = redis.call('LREM', Q .. ':' .. lane, 0, id)
  end
  if found == 0 then
    return 'NOT_IN_LANE'
  end
  redis.call('ZREM', Q .. ':idx:' .. state, id)
  redis.call('DEL', Q .. ':job:' .. id)
  tally[state] = true
  if lane == 'gwait' then
    group_settle(Q, gid, now, tally, 0)
  end
  return 'OK'
end
