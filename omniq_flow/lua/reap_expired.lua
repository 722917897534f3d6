#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/delay_job"
--- @include "lib/digits"
--- @include "lib/fail_job"
--- @include "lib/flush_stats"
--- @include "lib/lease_expired"
--- @include "lib/lost_places"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/visit_groups"

--- End leases that ran out: the job is tried again after its backoff, or fails when that was its last attempt.
-- A lease whose job is gone, or is not active, is dropped; the group place that it may have held is found again by counting.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:active Q:delayed Q:idx:active Q:idx:delayed Q:idx:failed Q:idx:wait Q:groups:ready (zset), Q:failed Q:wake (list),
--          Q:job:<id> Q:stats Q:lost (hash), Q:g:<gid>:inflight Q:has_groups Q:sent:<client> (string)
-- ARGV     now, max (1 to 1,000), client, seq
-- replies  {"OK", n}: n leases ended or dropped | {"STALE"}: this client has made a later call, nothing is done
-- repeat   {"OK", n} as at first; a first call that found nothing is not kept, so a repeat looks again
-- cost     6 commands, and 6 a lease, up to 13 with a group; while lost places are looked for up to 800 more and one per lease
local Q = anchor(KEYS[1])
local now, client, seq = clock(ARGV[1]), ARGV[3], tonumber(ARGV[4])
local state, reply = replay_get(Q, client, seq)
if state ~= 'NEW' then
  return reply or {state}
end

local tally = {}
local expired = redis.call('ZRANGEBYSCORE', Q .. ':active', '-inf', digits(now), 'LIMIT', 0, math.min(tonumber(ARGV[2]), 1000))
for _, id in ipairs(expired) do
  local lease = lease_expired(Q, id)
  if not lease then
    redis.call('ZREM', Q .. ':active', id)
    redis.call('ZREM', Q .. ':idx:active', id)
    tally.active = true
    lost_places(Q, now, tally)
  elseif lease.attempt >= lease.max_attempts then
    fail_job(Q, lease, now, nil, tally)
  else
    delay_job(Q, lease, now, now + lease.backoff_ms, nil, tally)
  end
end
local visited = visit_groups(Q, now, tally)
reply = {'OK', digits(#expired)}
if #expired > 0 or visited then
  flush_stats(Q, tally, now)
  replay_put(Q, client, seq, reply)
end
return reply
