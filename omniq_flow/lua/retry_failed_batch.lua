#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/retry_job"

--- Put failed jobs back into their ready lanes, each as retry_failed does; what cannot be retried is named and left alone.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:failed Q:wait Q:g:<gid>:wait Q:wake (list), Q:idx:failed Q:idx:wait Q:groups:ready (zset),
--          Q:sent:<client> (string)
-- ARGV     now, client, seq, id... (at most 100)
-- replies  {id, "OK", '' | id, "ERR", "NO_JOB" | "NOT_FAILED"...} | {"ERR", "BATCH_TOO_LARGE"} | {"STALE"}
-- repeat   as at first when any job was retried, by client and seq
-- cost     6 commands and 7 a job, 13 with a group; each taking off failed is linear in its length
local Q = anchor(KEYS[1])
local now, client, seq = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if #ARGV - 3 > 100 then
  return {'ERR', 'BATCH_TOO_LARGE'}
end
local state, kept = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return kept or {state}
end
local tally, reply, retried = {}, {}, false
for i = 4, #ARGV do
  local word = retry_job(Q, ARGV[i], now, tally)
  local done = word == 'OK'
  retried = retried or done
  reply[#reply + 1] = ARGV[i]
  reply[#reply + 1] = done and 'OK' or 'ERR'
  reply[#reply + 1] = done and '' or word
end
if retried then
  flush_stats(Q, tally, now)
  replay_put(Q, client, seq, reply)
end
return reply
