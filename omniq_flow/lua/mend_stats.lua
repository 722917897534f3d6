#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"

--- Count a queue's stats anew from its lanes.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:stats (hash), Q:wait Q:failed Q:completed Q:wake (list), Q:idx:wait Q:active Q:delayed Q:groups:ready (zset)
-- ARGV     now
-- replies  {"OK"}
-- repeat   {"OK"}, nothing changes but the time of the last activity
-- cost     9 commands
local Q, now = anchor(KEYS[1]), clock(ARGV[1])
-- Whoever may wake a sleeper counts what waits, and the groups in line.
flush_stats(Q, {active = true, delayed = true, failed = true, completed = true, wake = true}, now)
return {'OK'}
