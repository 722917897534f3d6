--- @include "lib/digits"
--- @include "lib/group_settle"
--- @include "lib/lost_places"

--- visit_groups(Q, now, tally) -> boolean: whether anything was visited
-- Settles the groups of the next 100 waiting jobs while the note Q:lost lives (see lost_places), so that a group whose place was lost and that
-- nobody touches is counted too. Goes downwards by rank: jobs that leave move the rest towards what is still to come. Makes the note
-- itself when jobs wait while none is leased and none is ready: then places were lost where no script of ours saw it.
-- reads and writes Q:lost Q:groups:ready Q:g:<gid>:*, reads Q:active Q:wait Q:has_groups Q:idx:wait Q:job:<id>; 3 commands when all is well,
-- else up to 800 and one per lease
local function visit_groups(Q, now, tally)
  local cursor = redis.call('HGET', Q .. ':lost', 'cursor')
  if not cursor then
    local moving = redis.call('EXISTS', Q .. ':active', Q .. ':wait', Q .. ':groups:ready') > 0
    if moving or redis.call('EXISTS', Q .. ':idx:wait', Q .. ':has_groups') < 2 then
      return false
    end
    lost_places(Q, now, tally)
    cursor = redis.call('ZCARD', Q .. ':idx:wait')
  end
  cursor = tonumber(cursor)
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
