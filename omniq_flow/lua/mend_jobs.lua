#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/mend_job"

--- Bring jobs into the one place that their hashes name; what is in order is left alone.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:lost Q:stats (hash), Q:active Q:delayed Q:idx:<lane> Q:groups:ready (zset), Q:wait Q:failed Q:completed Q:g:<gid>:wait
--          Q:wake (list), Q:g:<gid>:inflight (string)
-- ARGV     now, jobs (MessagePack: {id, gid...}..., the groups in whose lines it may stand besides its own; at most 50)
-- replies  {"OK", what was done of each: "" | "moved" | "put back" | "dropped"...}
-- repeat   {"OK", ""...}
-- cost     15 commands a job, of which 4 search a list, and up to 15 for one that is not in order
local Q, now, tally, reply = anchor(KEYS[1]), clock(ARGV[1]), {}, {'OK'}
for _, job in ipairs(cmsgpack.unpack(ARGV[2])) do reply[#reply + 1] = mend_job(Q, job, now, tally) end
flush_stats(Q, tally, now)
return reply
