#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/digits"

--- Tell whether a queue is paused.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:paused (string)
-- ARGV
-- replies  {"OK", 1}: it is paused | {"OK", 0}
-- repeat   the same, if nothing happened in between
-- cost     1 command
return {'OK', digits(redis.call('EXISTS', anchor(KEYS[1]) .. ':paused'))}
