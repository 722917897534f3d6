#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/complete_jobs"
--- @include "lib/flush_stats"
--- @include "lib/lease_check"

--- Finish a leased job: it is done.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:active Q:idx:active Q:idx:completed Q:groups:ready (zset), Q:completed Q:wake (list),
--          Q:g:<gid>:inflight (string)
-- ARGV     id, now, token
-- replies  {"OK"} | {"ERR", "TOKEN_REQUIRED" | "NOT_ACTIVE" | "TOKEN_MISMATCH"}
-- repeat   {"OK"} as long as the job is kept, {"ERR", "NOT_ACTIVE"} once a hundred others were completed
-- cost     11 commands, 4 more for a job that is trimmed, up to 7 more with a group
local Q = anchor(KEYS[1])
local now, tally = clock(ARGV[2]), {}
local refusal, lease = lease_check(Q, ARGV[1], ARGV[3], {OK = true})
if refusal then
  return refusal
end
complete_jobs(Q, {lease}, now, tally)
flush_stats(Q, tally, now)
return {'OK'}
