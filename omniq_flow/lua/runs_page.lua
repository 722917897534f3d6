#!lua flags=no-writes
--- Read a page of an index of runs.
--
-- KEYS[1]  {runs:<shard>}:live | {runs:<shard>}:ended (zset)
-- ARGV     after (a run id, or empty to begin), count
-- replies  {id...}
-- repeat   read only
-- cost     2 commands
local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
local from = rank and rank + 1 or 0
return redis.call('ZRANGE', KEYS[1], from, from + tonumber(ARGV[2]) - 1)
