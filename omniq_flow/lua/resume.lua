#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/wake"

--- Resume a paused queue, and wake a sleeper when work is ready.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:paused (string), Q:wait Q:wake (list), Q:groups:ready (zset)
-- ARGV
-- replies  {"OK", 1} | {"OK", 0}: it was not paused
-- repeat   {"OK", 0}
-- cost     up to 7 commands
local Q = anchor(KEYS[1])
local removed = redis.call('DEL', Q .. ':paused')
if removed == 1 and redis.call('EXISTS', Q .. ':wait', Q .. ':groups:ready') > 0 then
  wake(Q)
end
return {'OK', removed}
