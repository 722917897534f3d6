#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/run_tries"

--- Read which children of a fan-out, of those that were handed to the queue, have no outcome yet: each must have a job.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:tries R:out:<n> (hash)
-- ARGV     node, from, to (at most 1,000 more)
-- replies  {index, epoch...} flat
-- repeat   read only
-- cost     1 command a child, 2 for one without outcome
local R, n, found = anchor(KEYS[1]), ARGV[1], {}
for i = tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) + 1000) - 1 do
  if redis.call('HEXISTS', R .. ':out:' .. n, i) == 0 then
    found[#found + 1] = i
    found[#found + 1] = tries_read(R, n .. '/' .. i).epoch
  end
end
return found
