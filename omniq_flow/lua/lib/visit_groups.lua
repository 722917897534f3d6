--- @include "lib/digits"
--- @include "lib/group_settle"

--- visit_groups(Q, now, tally) -> boolean: whether anything was left to visit
-- Settles the groups of the next 100 waiting jobs while the note Q:lost lives (see lost_places), so that a group whose place was lost and that
-- nobody touches is counted too. Goes downwards by rank: jobs that leave move the rest towards what is still to come.
-- reads and writes Q:lost Q:groups:ready Q:g:<gid>:*, reads Q:idx:wait Q:job:<id>; 1 command when there is no note, else up to 700
local function visit_groups(Q, now, tally)
  local cursor = tonumber(redis.call('HGET', Q .. ':lost', 'cursor')) or 0
  if cursor <= 0 then
    return false
  end
  local from = math.max(0, cursor - 100)
  local seen = {}
  for _, id in ipairs(redis.call('ZRANGE', Q .. ':idx:wait', digits(from), digits(cursor - 1))) do
    local gid = redis.call('HGET', Q .. ':job:' .. id, 'gid')
    if gid and gid ~= '' and not seen[gid] then
      seen[gid] = true
      group_settle(Q, gid, now, tally, 0)
    end
  end
  redis.call('HSET', Q .. ':lost', 'cursor', digits(from))
  return true
end
