#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- List the workers that serve a queue.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:workers (zset)
-- ARGV     now
-- replies  {worker...}
-- repeat   read only
-- cost     2 commands
return redis.call('ZRANGE', anchor(KEYS[1]) .. ':workers', '(' .. digits(clock(ARGV[1])), '+inf', 'BYSCORE')
