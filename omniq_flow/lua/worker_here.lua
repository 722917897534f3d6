#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Note that a worker serves a queue, for a while, or that it leaves.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:workers (zset: worker by the time until which it is believed)
-- ARGV     now, worker, for_ms (0: leaves)
-- replies  {"OK"}
-- repeat   {"OK"}
-- cost     3 commands
local key, now = anchor(KEYS[1]) .. ':workers', clock(ARGV[1])
redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now))
if ARGV[3] == '0' then
  redis.call('ZREM', key, ARGV[2])
else
  redis.call('ZADD', key, digits(now + tonumber(ARGV[3])), ARGV[2])
  redis.call('PEXPIRE', key, ARGV[3])
end
return {'OK'}
