#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/digits"
--- @include "lib/group_room"

--- Read how groups stand.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:g:<gid>:inflight Q:g:<gid>:limit (string), Q:g:<gid>:wait (list), Q:groups:ready (zset)
-- ARGV     gid... (at most 1,000)
-- replies  {{leases, limit, ready (0 or 1), waiting}...}, in the order of ARGV
-- repeat   read only
-- cost     3 commands a group
local Q = anchor(KEYS[1])
local groups = {}
for i = 1, math.min(#ARGV, 1000) do
  local leases, limit = group_room(Q, ARGV[i])
  groups[i] = {
    digits(leases), digits(limit), redis.call('ZSCORE', Q .. ':groups:ready', ARGV[i]) and '1' or '0',
    digits(redis.call('LLEN', Q .. ':g:' .. ARGV[i] .. ':wait')),
  }
end
return groups
