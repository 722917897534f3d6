#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/enqueue_job"
--- @include "lib/flush_stats"
--- @include "lib/sent_before"

--- Put one job into its ready lane, or into the delayed lane when due_ms > now.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash), Q:wait Q:g:<gid>:wait (list), Q:g:<gid>:inflight Q:g:<gid>:limit Q:has_groups (string), Q:groups:ready Q:delayed
--          Q:idx:wait Q:idx:delayed Q:idx:completed Q:idx:failed (zset), Q:completed Q:failed Q:wake (list), Q:stats (hash),
--          Q:calls:<client>:<n> (string, bits)
-- ARGV     id, payload, max_attempts, timeout_ms, backoff_ms, now, due_ms, gid ('' for none), group_limit (0 for none), client, seq
-- replies  {"OK", id} | {"LIVE", id}: an id in wait, delayed or active is left alone | {"REPEATED", id}
-- repeat   {"REPEATED", id} by client and seq, whatever became of the job meanwhile; without a client by the id, {"LIVE", id}
-- cost     12 commands, 20 with a group; taking an id off failed is linear in its length
local Q = anchor(KEYS[1])
local id, now = ARGV[1], clock(ARGV[6])
if sent_before(Q, ARGV[10], tonumber(ARGV[11])) then
  return {'REPEATED', id}
end
local tally = {}
local word = enqueue_job(Q, {
  id = id, payload = ARGV[2], max_attempts = ARGV[3], timeout_ms = ARGV[4], backoff_ms = ARGV[5], due_ms = tonumber(ARGV[7]),
  gid = ARGV[8] ~= '' and ARGV[8], group_limit = tonumber(ARGV[9]),
}, now, tally)
flush_stats(Q, tally, now)
return {word, id}
