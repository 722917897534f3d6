#!lua flags=no-writes
--- @include "lib/run_page"

--- Read a page of an index of runs.
--
-- KEYS[1]  {runs:<shard>}:live | {runs:<shard>}:ended (zset)
-- ARGV     after (a run id, or empty to begin), count
-- replies  {id...}
-- repeat   read only
-- cost     2 commands
return run_page(KEYS[1], ARGV[1], tonumber(ARGV[2]))
