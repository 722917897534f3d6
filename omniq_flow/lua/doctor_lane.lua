#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/job_rows"

--- Read a page of a lane, or of an index, with what is known of each of its jobs at this instant.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:<line> (list or zset), Q:job:<id> (hash), Q:active Q:delayed Q:idx:<lane> (zset)
-- ARGV     line (wait, g:<gid>:wait, active, idx:wait, ...), first place, count (1 to 250)
-- replies  {row...}, see job_rows
-- repeat   read only
-- cost     9 commands and 1 a job
local Q, from = anchor(KEYS[1]), tonumber(ARGV[2])
local line, to = Q .. ':' .. ARGV[1], from + math.min(tonumber(ARGV[3]), 250) - 1
local range = redis.call('TYPE', line)['ok'] == 'list' and 'LRANGE' or 'ZRANGE'
return job_rows(Q, redis.call(range, line, from, to))
