#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/group_room"

--- Read how groups stand, with the leases that they really have.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:active Q:groups:ready (zset), Q:job:<id> (hash), Q:g:<gid>:inflight Q:g:<gid>:limit (string), Q:g:<gid>:wait (list)
-- ARGV     gid... (at most 500)
-- replies  {{counted, leases (-1: there are too many to count), limit, waiting, place in line | false}...}, in the order of
--          ARGV
-- repeat   read only
-- cost     4 commands a group, and 1 a lease of the queue, if it has at most 5,000
local Q, MOST, found = anchor(KEYS[1]), 5000, {}
local held = redis.call('ZCARD', Q .. ':active') <= MOST and {}
if held then
  for _, id in ipairs(redis.call('ZRANGE', Q .. ':active', 0, -1)) do
    local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid')
    if job[1] == 'active' then held[job[2]] = (held[job[2]] or 0) + 1 end
  end
end
for k, gid in ipairs(ARGV) do
  local counted, limit = group_room(Q, gid)
  found[k] = {
    counted, held and (held[gid] or 0) or -1, limit, redis.call('LLEN', Q .. ':g:' .. gid .. ':wait'),
    redis.call('ZSCORE', Q .. ':groups:ready', gid),
  }
end
return found
