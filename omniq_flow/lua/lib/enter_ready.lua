--- @include "lib/digits"
--- @include "lib/in_portions"

--- enter_ready(Q, ids, gid, now, front, tally)
-- Puts jobs that left their lanes into their ready lane: at the end, or, the last one first, at the front. The caller has written state `wait`
-- and settles the group.
-- writes Q:wait or Q:g:<gid>:wait, Q:idx:wait; 2 commands
local function enter_ready(Q, ids, gid, now, front, tally)
  if #ids == 0 then return end
  local at, listed = digits(now), {}
  for k = 1, #ids do
    listed[2 * k - 1], listed[2 * k] = at, ids[k]
  end
  in_portions(front and 'LPUSH' or 'RPUSH', gid and Q .. ':g:' .. gid .. ':wait' or Q .. ':wait', ids)
  in_portions('ZADD', Q .. ':idx:wait', listed)
  tally.wait, tally.wake = true, true
end
