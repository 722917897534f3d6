#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/digits"

--- Enter a run in its shard of the indexes, or move it from the live ones to the ended ones.
--
-- KEYS[1]  {runs:<shard>}:live (zset by created_ms)
-- keys     {runs:<shard>}:ended (zset by the time at which they expire)
-- ARGV     now, id, "live" | "ended" | "gone", expires_ms (ended)
-- replies  {"OK"}
-- repeat   {"OK"}, nothing changes; ended ones past their time leave
-- cost     2-3 commands
local now, ended = clock(ARGV[1]), string.sub(KEYS[1], 1, -5) .. 'ended'
if ARGV[3] == 'live' then
  redis.call('ZADD', KEYS[1], 'NX', digits(now), ARGV[2])
  return {'OK'}
end
redis.call('ZREM', KEYS[1], ARGV[2])
if ARGV[3] == 'ended' then redis.call('ZADD', ended, ARGV[4], ARGV[2]) end
redis.call('ZREMRANGEBYSCORE', ended, '-inf', '(' .. digits(now))
return {'OK'}
