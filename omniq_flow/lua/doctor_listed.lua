#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/digits"

--- Tell since when the indexes of a shard list runs as live, and until when as ended.
--
-- KEYS[1]  {runs:<shard>}:live (zset by the time of listing)
-- keys     {runs:<shard>}:ended (zset by the time at which they expire)
-- ARGV     id... (at most 1,000)
-- replies  {now, since | '', until | ''...} flat, in the order of ARGV
-- repeat   read only
-- cost     1 command, and 2 a run
local ended, found = string.sub(KEYS[1], 1, -5) .. 'ended', {digits(clock())}
for _, id in ipairs(ARGV) do
  found[#found + 1] = redis.call('ZSCORE', KEYS[1], id) or ''
  found[#found + 1] = redis.call('ZSCORE', ended, id) or ''
end
return found
