#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Note that a worker serves a queue, for a while, or that it leaves.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:workers Q:plans (zset: workers, and fingerprints of the plans that some of them have, by the time until which it is believed)
-- ARGV     now, worker, for_ms (0: leaves), fingerprint...
-- replies  {"OK"}
-- repeat   {"OK"}
-- cost     3 commands, and 3 when it has plans
local key, now = anchor(KEYS[1]) .. ':workers', clock(ARGV[1])
redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now))
if ARGV[3] == '0' then
  redis.call('ZREM', key, ARGV[2])
  return {'OK'}
end
local till = digits(now + tonumber(ARGV[3]))
redis.call('ZADD', key, till, ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
local plans = anchor(KEYS[1]) .. ':plans'
redis.call('ZREMRANGEBYSCORE', plans, '-inf', digits(now))
for k = 4, #ARGV do redis.call('ZADD', plans, till, ARGV[k]) end
redis.call('PEXPIRE', plans, ARGV[3])
return {'OK'}
