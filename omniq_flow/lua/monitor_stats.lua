#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/digits"

--- Count what a queue holds. The lanes themselves are counted, so it is right also where a client has miscounted Q:stats.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:paused (string), Q:wait Q:failed Q:completed (list), Q:idx:wait Q:active Q:delayed Q:groups:ready (zset), Q:stats (hash)
-- ARGV
-- replies  {paused (0 or 1), ungrouped waiting, all waiting, active, delayed, failed, completed, groups ready, {last_activity_ms, last_enqueue_ms,
--          last_reserve_ms, last_finish_ms}}
-- repeat   read only
-- cost     9 commands
local Q = anchor(KEYS[1])
return {
  digits(redis.call('EXISTS', Q .. ':paused')), digits(redis.call('LLEN', Q .. ':wait')), digits(redis.call('ZCARD', Q .. ':idx:wait')),
  digits(redis.call('ZCARD', Q .. ':active')), digits(redis.call('ZCARD', Q .. ':delayed')), digits(redis.call('LLEN', Q .. ':failed')),
  digits(redis.call('LLEN', Q .. ':completed')), digits(redis.call('ZCARD', Q .. ':groups:ready')),
  redis.call('HMGET', Q .. ':stats', 'last_activity_ms', 'last_enqueue_ms', 'last_reserve_ms', 'last_finish_ms'),
}
