#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/give_back"
--- @include "lib/lease_check"

--- Give a leased job back as if it had not been reserved: to the front of its ready lane, or into the delayed lane for a while.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:active Q:delayed Q:idx:active Q:idx:wait Q:idx:delayed Q:groups:ready (zset), Q:wait Q:g:<gid>:wait
--          Q:wake (list), Q:g:<gid>:inflight (string)
-- ARGV     id, now, token, delay_ms
-- replies  {"RELEASED"} | {"ERR", "TOKEN_REQUIRED" | "NOT_ACTIVE" | "TOKEN_MISMATCH"}
-- repeat   {"RELEASED"}, until a later lease of the job was spent
-- cost     12 commands, up to 18 with a group
local Q = anchor(KEYS[1])
local now, tally = clock(ARGV[2]), {}
local refusal, lease = lease_check(Q, ARGV[1], ARGV[3], {RELEASED = true})
if refusal then
  return refusal
end
local reply = give_back(Q, lease, now, now + tonumber(ARGV[4]), tally)
flush_stats(Q, tally, now)
return reply
