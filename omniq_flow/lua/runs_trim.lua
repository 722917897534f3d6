#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/digits"

--- Forget the ended runs of a shard whose term is over.
--
-- KEYS[1]  {runs:<shard>}:ended (zset by the time at which they expire)
-- ARGV     now
-- replies  {"OK", n}: n were forgotten
-- repeat   {"OK", 0}
-- cost     1 command
return {'OK', redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. digits(clock(ARGV[1])))}
