#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/extend_lease"

--- Extend many leases of one queue.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash), Q:active (zset)
-- ARGV     now, lease_ms (0: each job's own timeout), id, token... (at most 1,000 pairs)
-- replies  {"OK", id...}: the ids whose lease is not held under this token any more
-- repeat   the same, ends counted from the repeat's own now
-- cost     3 commands a lease
local Q = anchor(KEYS[1])
local now, lease_ms, reply = clock(ARGV[1]), tonumber(ARGV[2]), {'OK'}
for i = 3, #ARGV, 2 do
  if extend_lease(Q, ARGV[i], ARGV[i + 1], now, lease_ms) then
    reply[#reply + 1] = ARGV[i]
  end
end
return reply
