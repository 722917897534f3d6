#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/remove_one"
--- @include "lib/replay_get"
--- @include "lib/replay_put"

--- Delete jobs from one lane, each as remove_job does; what cannot be removed is named and left alone.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:wait Q:g:<gid>:wait Q:failed Q:completed (list), Q:delayed Q:idx:<lane> Q:groups:ready (zset),
--          Q:sent:<client> (string)
-- ARGV     lane, now, client, seq, id... (at most 100)
-- replies  {id, "OK", '' | id, "ERR", "BAD_JOB_ID" | "NO_JOB" | "ACTIVE" | "LANE_MISMATCH" | "NOT_IN_LANE"...} | {"ERR",
--          "BATCH_TOO_LARGE" | "BAD_LANE"} | {"STALE"}
-- repeat   as at first when any job was removed, by client and seq
-- cost     6 commands and 4 a job, 10 with a group; a list lane is searched through for each
local Q = anchor(KEYS[1])
local lane, now, client, seq = ARGV[1], clock(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local LANES = {wait = true, gwait = true, delayed = true, failed = true, completed = true}
if #ARGV - 4 > 100 then
  return {'ERR', 'BATCH_TOO_LARGE'}
end
if not LANES[lane] then
  return {'ERR', 'BAD_LANE'}
end
local state, kept = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return kept or {state}
end
local tally, reply, removed = {}, {}, false
for i = 5, #ARGV do
  local word = remove_one(Q, ARGV[i], lane, now, tally)
  local done = word == 'OK'
  removed = removed or done
  reply[#reply + 1] = ARGV[i]
  reply[#reply + 1] = done and 'OK' or 'ERR'
  reply[#reply + 1] = done and '' or word
end
if removed then
  flush_stats(Q, tally, now)
  replay_put(Q, client, seq, reply)
end
return reply
