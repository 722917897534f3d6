--- @include "lib/digits"
--- @include "lib/group_room"
--- @include "lib/recount"

--- group_settle(Q, gid, now, tally, taken)
-- The one place that decides whether a group is in Q:groups:ready: it is when it has a waiting job and a free place.
-- Call it last, after lanes and Q:active were changed. `taken`: 1 a place was taken (the group goes to the end of the line), -1 a
-- place came free, 0 neither. A group that stays ready keeps its place in line. Scores never repeat: now, or the
-- highest in use plus 1/1024 (or what a number of its size can still show), so groups that come within a millisecond are served in order,
-- and integer scores of foreign clients mix.
-- reads and writes Q:g:<gid>:inflight (deleted at 0) Q:groups:ready, reads Q:g:<gid>:limit Q:g:<gid>:wait; 3 to 7 commands
local function group_settle(Q, gid, now, tally, taken)
  local ready = Q .. ':groups:ready'
  local before, limit = group_room(Q, gid)
  local leases = before + taken
  local waiting = redis.call('LLEN', Q .. ':g:' .. gid .. ':wait') > 0
  tally.groups = true
  if tally.held then
    tally.held[gid] = (tally.held[gid] or 0) + taken
  end
  if waiting and leases >= limit then
    leases = recount(Q, gid, leases, tally) or leases
  end
  if leases <= 0 then
    if before ~= 0 then redis.call('DEL', Q .. ':g:' .. gid .. ':inflight') end
  elseif leases ~= before then
    redis.call('SET', Q .. ':g:' .. gid .. ':inflight', digits(leases))
  end
  if not waiting or leases >= limit then
    redis.call('ZREM', ready, gid)
    return
  end
  if taken <= 0 and redis.call('ZSCORE', ready, gid) then
    return
  end
  local top = tonumber(redis.call('ZRANGE', ready, 0, 0, 'REV', 'WITHSCORES')[2])
  local score = now
  if top then
    score = math.max(now, top + math.max(1 / 1024, top * 2 ^ -52))
  end
  redis.call('ZADD', ready, string.format('%.17g', score), gid)
  tally.wake = true
end
