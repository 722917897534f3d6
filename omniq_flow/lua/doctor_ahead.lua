#!lua flags=no-writes
--- @include "lib/anchor"

--- Tell how many jobs of a line stand ahead of one.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:wait Q:g:<gid>:wait (list)
-- ARGV     job, gid ('' for the ungrouped line)
-- replies  n; -1: it is not among the first 10,000
-- repeat   read only
-- cost     1 command, which searches a list
local line = ARGV[2] == '' and ':wait' or ':g:' .. ARGV[2] .. ':wait'
return redis.call('LPOS', anchor(KEYS[1]) .. line, ARGV[1], 'MAXLEN', 10000) or -1
