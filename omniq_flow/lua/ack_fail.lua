#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/delay_job"
--- @include "lib/fail_job"
--- @include "lib/flush_stats"
--- @include "lib/lease_check"

--- Finish a leased job: the attempt failed. Try again after the job's backoff, or give up once all attempts are used.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:active Q:delayed Q:idx:active Q:idx:delayed Q:idx:failed Q:groups:ready (zset), Q:failed Q:wake (list),
--          Q:g:<gid>:inflight (string)
-- ARGV     id, now, token, error ('' for none; kept up to 4,096 bytes)
-- replies  {"RETRY", due_ms} | {"FAILED"} | {"ERR", "TOKEN_REQUIRED" | "NOT_ACTIVE" | "TOKEN_MISMATCH"}
-- repeat   the first reply, until a later lease of the job was spent
-- cost     9 commands, up to 16 with a group
local Q = anchor(KEYS[1])
local now, error, tally = clock(ARGV[2]), ARGV[4], {}
local refusal, lease = lease_check(Q, ARGV[1], ARGV[3], {RETRY = true, FAILED = true})
if refusal then
  return refusal
end
local reply
if lease.attempt >= lease.max_attempts then
  reply = fail_job(Q, lease, now, error, tally)
else
  reply = delay_job(Q, lease, now, now + lease.backoff_ms, error, tally)
end
flush_stats(Q, tally, now)
return reply
