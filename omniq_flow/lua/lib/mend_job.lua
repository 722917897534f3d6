--- @include "lib/delay_job"
--- @include "lib/digits"
--- @include "lib/enter_delayed"
--- @include "lib/enter_ready"
--- @include "lib/fail_job"
--- @include "lib/group_settle"
--- @include "lib/lease_expired"
--- @include "lib/lost_places"

--- mend_job(Q, job, now, tally) -> '' (it was in order) | 'moved' | 'put back' | 'dropped'
-- Makes a job stand in exactly the place that its hash names, with a token only if it is leased, and in one index. job: {id, gid...}, the groups
-- in whose lines it may stand besides its own. A hash without a state that can be read takes that of the place where it stands. A completed job
-- that stands nowhere is forgotten, as if it had been trimmed; a lease without token ends as if it had run out.
-- reads and writes Q:job:<id> Q:wait Q:failed Q:completed Q:g:<gid>:* Q:active Q:delayed Q:idx:* Q:groups:ready, writes Q:lost; 15 commands, of
-- which 4 search a list, and up to 15 more
local function mend_job(Q, job, now, tally)
  local id, key = job[1], Q .. ':job:' .. job[1]
  local there = redis.call('EXISTS', key) == 1
  local hash = redis.call('HMGET', key, 'state', 'gid', 'due_ms', 'lock_until_ms', 'lease_token')
  local gid = hash[2] ~= '' and hash[2] or nil
  local LANES = {wait = true, active = true, delayed = true, failed = true, completed = true}
  local done, gids = '', {}

  local function note(what)
    if done == '' or what ~= 'moved' then done = what end
  end

  -- Where it stands: how often in each list, whether in each sorted set.
  local stands, lane_of = {}, {wait = 'wait', failed = 'failed', completed = 'completed', active = 'active', delayed = 'delayed'}
  for _, lane in ipairs({'wait', 'failed', 'completed'}) do stands[lane] = #redis.call('LPOS', Q .. ':' .. lane, id, 'COUNT', 0) end
  for _, lane in ipairs({'active', 'delayed'}) do stands[lane] = redis.call('ZSCORE', Q .. ':' .. lane, id) and 1 or 0 end
  local lines = {gid}
  for k = 2, #job do lines[#lines + 1] = job[k] end
  for _, name in ipairs(lines) do
    local line = 'g:' .. name .. ':wait'
    stands[line], lane_of[line], gids[name] = #redis.call('LPOS', Q .. ':' .. line, id, 'COUNT', 0), 'wait', true
  end

  local state = hash[1]
  if there and not LANES[state] then
    state = 'wait'
    for _, lane in ipairs({'completed', 'failed', 'delayed', 'active'}) do
      if stands[lane] > 0 then state = lane end
    end
    redis.call('HSET', key, 'state', state)
    note('moved')
  end

  local home = state == 'wait' and gid and 'g:' .. gid .. ':wait' or state
  for line, times in pairs(stands) do
    local surplus = line == home and times - 1 or times
    if surplus > 0 then
      if line == 'active' or line == 'delayed' then
        redis.call('ZREM', Q .. ':' .. line, id)
      else
        redis.call('LREM', Q .. ':' .. line, -surplus, id)
      end
      if line == 'active' and not there then lost_places(Q, now, tally) end
      tally[lane_of[line]] = true
      note(there and 'moved' or 'dropped')
    end
  end

  if stands[home] == 0 then
    if state == 'wait' then
      enter_ready(Q, {id}, gid, now, false, tally)
    elseif state == 'active' then
      redis.call('ZADD', Q .. ':active', digits(tonumber(hash[4]) or now), id)
    elseif state == 'delayed' then
      enter_delayed(Q, id, tonumber(hash[3]) or now, now, tally)
    elseif state == 'failed' then
      redis.call('LPUSH', Q .. ':failed', id)
    else
      redis.call('DEL', key)
      there, state = false, nil
    end
    tally[state or 'completed'] = true
    note(there and 'put back' or 'dropped')
  end

  for lane in pairs(LANES) do
    local index, wanted = Q .. ':idx:' .. lane, lane == state
    if (redis.call('ZSCORE', index, id) ~= false) ~= wanted then
      if wanted then
        redis.call('ZADD', index, digits(now), id)
      else
        redis.call('ZREM', index, id)
      end
      tally[lane] = true
      note(there and 'moved' or 'dropped')
    end
  end

  local leased = hash[5] and hash[5] ~= ''
  if state == 'active' and not leased then
    local lease = lease_expired(Q, id)
    if lease.attempt >= lease.max_attempts then
      fail_job(Q, lease, now, nil, tally)
    else
      delay_job(Q, lease, now, now + lease.backoff_ms, nil, tally)
    end
    note('moved')
  elseif there and state ~= 'active' and leased then
    redis.call('HSET', key, 'lease_token', '', 'lock_until_ms', '')
    tally[state] = true
    note('moved')
  end
  if done ~= '' then
    for name in pairs(gids) do group_settle(Q, name, now, tally, 0) end
  end
  return done
end
