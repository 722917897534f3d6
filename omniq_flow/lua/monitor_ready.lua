#!lua flags=no-writes
--- @include "lib/anchor"

--- Read a page of the groups that have a waiting job and a free place, the next to be served first.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:groups:ready (zset)
-- ARGV     offset, limit (1 to 1,000)
-- replies  {gid, score...} flat
-- repeat   read only
-- cost     1 command
local from = tonumber(ARGV[1])
return redis.call('ZRANGE', anchor(KEYS[1]) .. ':groups:ready', from, from + math.min(tonumber(ARGV[2]), 1000) - 1, 'WITHSCORES')
