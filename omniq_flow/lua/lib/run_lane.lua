--- @include "lib/digits"
--- @include "lib/enter_delayed"
--- @include "lib/enter_ready"
--- @include "lib/group_room"
--- @include "lib/group_settle"

--- Put a live job back into the lane that its hash names, if that lane has lost it; true when it had.
-- Nobody would ever lease, promote or reap such a job: its hash says that it waits, so enqueuing it again leaves it alone.
-- A waiting job is looked for only where the counts of the lanes leave room for doubt, and among the first 10,000: one that stands behind
-- those is not overdue.
--
-- keys:    Q:job:<id> (hash), Q:wait Q:g:<gid>:wait (list), Q:active Q:delayed Q:groups:ready Q:idx:* (zset)
-- cost:    2-5 commands for a job that is where it should be; a search through up to 10,000 ids where groups or lost keys leave doubt
local function run_lane(Q, id, now, tally)
  local LOOKED = 10000
  local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid', 'due_ms', 'lock_until_ms')
  local state, gid = job[1], job[2] ~= '' and job[2]
  if state == 'active' then
    if redis.call('ZSCORE', Q .. ':active', id) then return false end
    redis.call('ZADD', Q .. ':active', digits(tonumber(job[4]) or now), id)
    redis.call('ZADD', Q .. ':idx:active', digits(now), id)
    tally.active = true
    return true
  end
  if state == 'delayed' then
    if redis.call('ZSCORE', Q .. ':delayed', id) then return false end
    enter_delayed(Q, id, tonumber(job[3]) or now, now, tally)
    return true
  end
  if state ~= 'wait' then return false end
  if gid then
    local leases, limit = group_room(Q, gid)
    local shown = leases >= limit or redis.call('ZSCORE', Q .. ':groups:ready', gid)
    local list = Q .. ':g:' .. gid .. ':wait'
    local there = redis.call('LPOS', list, id, 'MAXLEN', LOOKED) or redis.call('LLEN', list) > LOOKED
    if there and shown then return false end
    if not there then enter_ready(Q, {id}, gid, now, false, tally) end
    group_settle(Q, gid, now, tally, 0)
    return true
  end
  local waiting, ungrouped = redis.call('LLEN', Q .. ':wait'), redis.call('EXISTS', Q .. ':has_groups') == 0
  if ungrouped and waiting == redis.call('ZCARD', Q .. ':idx:wait') and redis.call('ZSCORE', Q .. ':idx:wait', id) then return false end
  if redis.call('LPOS', Q .. ':wait', id, 'MAXLEN', LOOKED) or waiting > LOOKED then return false end
  enter_ready(Q, {id}, nil, now, false, tally)
  return true
end
