#!lua flags=allow-oom
--- @include "lib/anchor"

--- Pause a queue: nothing more is reserved from it; what is leased goes on, nothing moves.
-- Allowed when memory is full, like resume: that is when an operator needs them.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:paused (string), Q:wake (list)
-- ARGV
-- replies  {"OK"}
-- repeat   {"OK"}
-- cost     2 commands
local Q = anchor(KEYS[1])
redis.call('SET', Q .. ':paused', '1')
redis.call('DEL', Q .. ':wake')
return {'OK'}
