#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/lane_row"

--- Read a page of a lane, in the order in which jobs entered it.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:idx:<lane> (zset), Q:job:<id> (hash)
-- ARGV     lane, offset, limit (1 to 1,000), reverse (0 or 1)
-- replies  {row...}, see lane_row
-- repeat   read only
-- cost     1 command and one per row
local Q = anchor(KEYS[1])
local from, limit = tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), 1000)
local range = {'ZRANGE', Q .. ':idx:' .. ARGV[1], from, from + limit - 1, 'WITHSCORES'}
if ARGV[4] == '1' then
  range[#range + 1] = 'REV'
end
local found, rows = redis.call(unpack(range)), {}
for i = 1, #found, 2 do
  rows[#rows + 1] = lane_row(Q, found[i], found[i + 1])
end
return rows
