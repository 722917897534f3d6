#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/retry_job"

--- Put one failed job back into its ready lane, its attempts counted from 0 again.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:failed Q:wait Q:g:<gid>:wait Q:wake (list), Q:idx:failed Q:idx:wait Q:groups:ready (zset),
--          Q:sent:<client> (string)
-- ARGV     id, now, client, seq
-- replies  {"OK"} | {"ERR", "NO_JOB" | "NOT_FAILED"} | {"STALE"}: this client has made a later call, nothing is done
-- repeat   {"OK"} by client and seq
-- cost     14 commands, up to 20 with a group; taking the id off failed is linear in its length
local Q = anchor(KEYS[1])
local now, client, seq = clock(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local state, reply = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return reply or {state}
end
local tally = {}
local word = retry_job(Q, ARGV[1], now, tally)
if word ~= 'OK' then
  return {'ERR', word}
end
flush_stats(Q, tally, now)
replay_put(Q, client, seq, {word})
return {word}
