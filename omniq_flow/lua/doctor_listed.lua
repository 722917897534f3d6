#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/digits"

--- Tell since when the indexes of a shard list runs as live, and until when as ended.
--
-- KEYS[1]  {runs:<shard>}:live (zset by the time of listing)
-- keys     {runs:<shard>}:ended (zset by the time at which they expire)
-- ARGV     now, id... (at most 1,000)
-- replies  {now, since | false, until | false...} flat, in the order of the ids
-- repeat   read only
-- cost     1 command, and 2 a run
local ended, found = string.sub(KEYS[1], 1, -5) .. 'ended', {digits(clock(ARGV[1]))}
for k = 2, #ARGV do
  found[#found + 1] = redis.call('ZSCORE', KEYS[1], ARGV[k])
  found[#found + 1] = redis.call('ZSCORE', ended, ARGV[k])
end
return found
