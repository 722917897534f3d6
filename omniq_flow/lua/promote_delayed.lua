#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/enter_ready"
--- @include "lib/flush_stats"
--- @include "lib/group_settle"
--- @include "lib/replay_get"
--- @include "lib/replay_put"

--- Move delayed jobs that are due into their ready lanes, the longest due first.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:delayed Q:idx:delayed Q:idx:wait Q:groups:ready (zset), Q:job:<id> Q:stats (hash), Q:wait Q:g:<gid>:wait Q:wake (list),
--          Q:sent:<client> (string)
-- ARGV     now, max (1 to 1,000), client, seq
-- replies  {"OK", n} | {"STALE"}: this client has made a later call, nothing is done
-- repeat   {"OK", n} as at first; a first call that found nothing is not kept, so a repeat looks again
-- cost     5 commands, and 6 a job, up to 12 with a group
local Q = anchor(KEYS[1])
local now, client, seq = clock(ARGV[1]), ARGV[3], tonumber(ARGV[4])
local state, reply = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return reply or {state}
end

local promoted, tally = 0, {}
local due = redis.call('ZRANGEBYSCORE', Q .. ':delayed', '-inf', digits(now), 'LIMIT', 0, math.min(tonumber(ARGV[2]), 1000))
for _, id in ipairs(due) do
  local key = Q .. ':job:' .. id
  local job = redis.call('HMGET', key, 'state', 'gid')
  local gid = job[2] ~= '' and job[2]
  redis.call('ZREM', Q .. ':delayed', id)
  redis.call('ZREM', Q .. ':idx:delayed', id)
  tally.delayed = true
  if job[1] == 'delayed' then
    promoted = promoted + 1
    redis.call('HSET', key, 'state', 'wait', 'updated_ms', digits(now))
    enter_ready(Q, {id}, gid, now, false, tally)
    if gid then
      group_settle(Q, gid, now, tally, 0)
    end
  end
end
reply = {'OK', digits(promoted)}
if #due > 0 then
  flush_stats(Q, tally, now)
  replay_put(Q, client, seq, reply)
end
return reply
