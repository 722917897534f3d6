--- @include "lib/digits"
--- @include "lib/group_settle"
--- @include "lib/in_portions"

--- complete_jobs(Q, leases, now, tally)
-- Ends leases with success, all together. `leases` come from lease_check, lease_held or lease_next, no job twice. Q:completed keeps the last 100;
-- a job trimmed off it loses its hash too, unless the id was queued anew meanwhile. Of more than a hundred only the last hundred are
-- kept at all.
-- writes Q:job:<id> Q:active Q:completed Q:idx:active Q:idx:completed Q:g:<gid>:inflight Q:groups:ready; 5 to 7 commands, 2 a job that is trimmed
-- and 1 a job that is kept, up to 7 a group
local function complete_jobs(Q, leases, now, tally)
  local KEPT, MOST = 100, 1000
  local count, at, line = #leases, digits(now), Q .. ':completed'
  if count == 0 then return end
  local first = math.max(1, count - KEPT + 1)
  local ids, kept, listed, over, freed, groups = {}, {}, {}, {}, {}, {}

  -- What leaves the line goes first, so that an id that is completed just now, and stood there before, is not taken for an old one.
  local surplus = redis.call('LLEN', line) + math.min(count, KEPT) - KEPT
  if surplus > 0 then
    local trimmed = redis.call('RPOP', line, math.min(surplus, MOST))
    for k = 1, #trimmed do
      local key = Q .. ':job:' .. trimmed[k]
      if redis.call('HGET', key, 'state') == 'completed' then over[#over + 1] = key end
    end
    in_portions('ZREM', Q .. ':idx:completed', trimmed)
  end

  for k = 1, count do
    local lease = leases[k]
    local id, key, gid = lease.id, lease.key, lease.gid
    ids[k] = id
    if k < first then
      over[#over + 1] = key
    else
      redis.call('HSET', key, 'state', 'completed', 'updated_ms', at, 'lock_until_ms', '', 'lease_token', '', 'spent', lease.token .. ' OK',
        'completed_ms', at)
      local place = k - first + 1
      kept[place] = id
      listed[2 * place - 1], listed[2 * place] = at, id
    end
    if gid then
      if not freed[gid] then groups[#groups + 1] = gid end
      freed[gid] = (freed[gid] or 0) - 1
    end
  end
  in_portions('ZREM', Q .. ':active', ids)
  in_portions('ZREM', Q .. ':idx:active', ids)
  in_portions('DEL', over[1], over)
  in_portions('LPUSH', line, kept)
  in_portions('ZADD', Q .. ':idx:completed', listed)
  tally.active, tally.completed, tally.finish = true, true, true
  for _, gid in ipairs(groups) do group_settle(Q, gid, now, tally, freed[gid]) end
end
