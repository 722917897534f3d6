#!lua
--- @include "lib/anchor"
--- @include "lib/counter_open"
--- @include "lib/counter_read"

--- Open a completion key: so many children are to be acked.
--
-- KEYS[1]  {cc:<key>}:meta
-- keys     C:count (string, children still open), C:done (set of child ids), C:owner (hash: owner expected; 30 days, more than a counter by
--          hand should be open), C:settled (hash: owner expected last; see child_ack)
-- ARGV     expected, owner
-- replies  {"OK"} | {"ERR", "NO_EXPECTED" | "BAD_EXPECTED"} | {"ERR", "ALREADY_INIT"}: open under another owner, or the same owner with
--          another count
-- repeat   {"OK"} by the owner, open or settled
-- cost     7 commands
local C = anchor(KEYS[1])
local expected, owner = tonumber(ARGV[1]), ARGV[2]
if not expected then
  return {'ERR', 'NO_EXPECTED'}
end
if expected < 1 then
  return {'ERR', 'BAD_EXPECTED'}
end
local open, settled = counter_read(C)
local word = counter_open(owner, ARGV[1], open, settled)
if word == 'TAKEN' then
  return {'ERR', 'ALREADY_INIT'}
end
if word == 'OPEN' then
  redis.call('DEL', C .. ':done')
  redis.call('SET', C .. ':count', ARGV[1])
  redis.call('HSET', C .. ':owner', 'owner', owner, 'expected', ARGV[1])
  redis.call('PEXPIRE', C .. ':owner', '2592000000')
end
return {'OK'}
