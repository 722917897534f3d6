#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/flush_stats"
--- @include "lib/group_room"
--- @include "lib/group_settle"

--- Count the leases of groups anew and put each into line, or out of it; what is in order is left alone.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:active Q:groups:ready (zset), Q:job:<id> Q:stats (hash), Q:g:<gid>:inflight Q:g:<gid>:limit Q:has_groups (string), Q:g:<gid>:wait
--          Q:wake (list)
-- ARGV     now, gid... (at most 250)
-- replies  {"OK", n}: n groups counted other leases than they have | {"LATER"}: too many leases to count, nothing is done
-- repeat   {"OK", "0"}
-- cost     8 commands a group, and 1 a lease of the queue, if it has at most 5,000
local Q, now, MOST, held, tally, mended = anchor(KEYS[1]), clock(ARGV[1]), 5000, {}, {}, 0
if redis.call('ZCARD', Q .. ':active') > MOST then return {'LATER'} end
for _, id in ipairs(redis.call('ZRANGE', Q .. ':active', 0, -1)) do
  local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid')
  if job[1] == 'active' then held[job[2]] = (held[job[2]] or 0) + 1 end
end
redis.call('SETNX', Q .. ':has_groups', '1')
for k = 2, #ARGV do
  local counted, inflight = group_room(Q, ARGV[k]), Q .. ':g:' .. ARGV[k] .. ':inflight'
  local leases = held[ARGV[k]] or 0
  if leases ~= counted then
    mended = mended + 1
    if leases == 0 then redis.call('DEL', inflight) else redis.call('SET', inflight, digits(leases)) end
  end
  group_settle(Q, ARGV[k], now, tally, 0)
end
flush_stats(Q, tally, now)
return {'OK', digits(mended)}
