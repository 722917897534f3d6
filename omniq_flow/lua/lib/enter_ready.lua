--- @include "lib/digits"

--- enter_ready(Q, id, gid, now, front, tally)
-- Puts a job that left its lane into its ready lane: at the end, or at the front. The caller has written state `wait` and settles the group.
-- writes Q:wait or Q:g:<gid>:wait, Q:idx:wait; 2 commands
local function enter_ready(Q, id, gid, now, front, tally)
  redis.call(front and 'LPUSH' or 'RPUSH', gid and Q .. ':g:' .. gid .. ':wait' or Q .. ':wait', id)
  redis.call('ZADD', Q .. ':idx:wait', digits(now), id)
  tally.wait, tally.wake = true, true
end
