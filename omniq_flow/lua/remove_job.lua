#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/remove_one"
--- @include "lib/replay_get"
--- @include "lib/replay_put"

--- Delete one job that is not leased from the lane it is said to be in.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:wait Q:g:<gid>:wait Q:failed Q:completed (list), Q:delayed Q:idx:<lane> Q:groups:ready (zset),
--          Q:sent:<client> (string)
-- ARGV     id, lane (wait: ungrouped | gwait: grouped | delayed | failed | completed), now, client, seq
-- replies  {"OK"} | {"ERR", "NO_JOB" | "ACTIVE" | "LANE_MISMATCH" | "NOT_IN_LANE" | "BAD_JOB_ID"} | {"STALE"}: this client has made a
--          later call, nothing is done
-- repeat   {"OK"} by client and seq
-- cost     9 commands, up to 15 with a group; a list lane is searched through
local Q = anchor(KEYS[1])
local now, client, seq = clock(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local state, reply = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return reply or {state}
end
local tally = {}
local word = remove_one(Q, ARGV[1], ARGV[2], now, tally)
if word ~= 'OK' then
  return {'ERR', word}
end
flush_stats(Q, tally, now)
replay_put(Q, client, seq, {word})
return {word}
