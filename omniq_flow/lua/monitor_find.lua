#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/lane_row"

--- Look for jobs in a lane.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:idx:<lane> (zset), Q:job:<id> (hash)
-- ARGV     lane, id... (at most 1,000)
-- replies  {row...} of those that the lane holds, see lane_row
-- repeat   read only
-- cost     1 command a job, and one per row
local Q = anchor(KEYS[1])
local rows = {}
for i = 2, math.min(#ARGV, 1001) do
  local score = redis.call('ZSCORE', Q .. ':idx:' .. ARGV[1], ARGV[i])
  if score then
    rows[#rows + 1] = lane_row(Q, ARGV[i], score)
  end
end
return rows
