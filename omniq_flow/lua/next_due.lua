#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"

--- Tell how long it is until the earliest delayed job of a queue is due.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:delayed (zset)
-- ARGV     now
-- replies  milliseconds, 0 for one that is due already, -1 for a queue without delayed jobs
-- repeat   read only
-- cost     2 commands
local first = redis.call('ZRANGE', anchor(KEYS[1]) .. ':delayed', 0, 0, 'WITHSCORES')[2]
return first and math.max(0, math.floor(tonumber(first)) - clock(ARGV[1])) or -1
