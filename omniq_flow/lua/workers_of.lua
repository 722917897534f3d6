#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- List the workers that serve a queue, or the plans that they have.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:workers Q:plans (zset)
-- ARGV     now, "workers" | "plans"
-- replies  {worker...} | {fingerprint...}
-- repeat   read only
-- cost     2 commands
return redis.call('ZRANGE', anchor(KEYS[1]) .. ':' .. ARGV[2], '(' .. digits(clock(ARGV[1])), '+inf', 'BYSCORE')
