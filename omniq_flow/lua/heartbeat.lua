#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/extend_lease"

--- Extend one lease.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash), Q:active (zset)
-- ARGV     id, now, token, lease_ms (0: the job's own timeout)
-- replies  {"OK", lock_until_ms} | {"ERR", "TOKEN_REQUIRED" | "NOT_ACTIVE" | "TOKEN_MISMATCH"}
-- repeat   {"OK", lock_until_ms} counted from the repeat's own now
-- cost     3 commands
local Q = anchor(KEYS[1])
local refusal, lock = extend_lease(Q, ARGV[1], ARGV[3], clock(ARGV[2]), tonumber(ARGV[4]))
return refusal or {'OK', digits(lock)}
