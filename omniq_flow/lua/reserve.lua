#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/held_leases"
--- @include "lib/lease_next"
--- @include "lib/replay_get"
--- @include "lib/replay_put"

--- Lease the next ready jobs, grouped and ungrouped ones in turn, groups round-robin.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> Q:stats (hash), Q:wait Q:g:<gid>:wait Q:wake (list), Q:g:<gid>:inflight Q:g:<gid>:limit Q:lane:rr Q:lease:seq Q:paused
--          Q:has_groups (string), Q:groups:ready Q:active Q:idx:wait Q:idx:active (zset), Q:lost (hash), Q:sent:<client> (string)
-- ARGV     now, count (1 to 1,000), lease_ms (0: each job's own timeout), client, seq
-- replies  {"PAUSED"} | {"EMPTY"} | {"STALE"}: this client has made a later call, nothing is claimed | {"JOBS", job...} with
--          job = {id, payload, lock_until_ms, attempt, max_attempts, gid, lease_token, timeout_ms}
-- repeat   {"JOBS", job...}: those of the first reply that are still held, {"EMPTY"} when none is; a first reply that claimed nothing is not
--          kept, so a repeat may claim
-- cost     20 commands, and 3 a job (17 with a group), whatever the number of groups
local Q = anchor(KEYS[1])
local now, count, client, seq = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[5])

local state, claimed = replay_get(Q, client, seq)
if state == 'STALE' then
  return {state}
end
if state == 'SAME' then
  return held_leases(Q, claimed)
end
if redis.call('EXISTS', Q .. ':paused') == 1 then
  return {'PAUSED'}
end

local tally, most, how = {}, math.min(count, 1000), leasing(now, tonumber(ARGV[3]), client .. '.' .. ARGV[5])
claimed = {}
local leases, over
while #claimed < most and not over do
  leases, over = lease_next(Q, most - #claimed, how, tally)
  over = over or #leases == 0
  for _, lease in ipairs(leases) do claimed[#claimed + 1] = {lease.id, lease.token} end
end
flush_stats(Q, tally, now)
if #claimed == 0 then
  return {'EMPTY'}
end
replay_put(Q, client, seq, claimed)
return held_leases(Q, claimed)
