#!lua flags=no-writes
--- @include "lib/anchor"

--- Count what a queue holds, and read what its stats state.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:stats (hash), Q:wait Q:failed Q:completed Q:g:<gid>:wait (list), Q:active Q:delayed Q:groups:ready Q:idx:wait (zset), Q:has_groups
--          (string)
-- ARGV     gid... of all its groups (at most 400); more: "" alone, then the index tells how many wait in groups
-- replies  {stats (flat field, value), {waiting, group_waiting, active, delayed, failed, completed, groups ready}, marked (0 or 1)}
-- repeat   read only
-- cost     9 commands and 1 a group
local Q, waiting, grouped = anchor(KEYS[1]), 0, 0
waiting = redis.call('LLEN', Q .. ':wait')
if ARGV[1] == '' then
  grouped = math.max(0, redis.call('ZCARD', Q .. ':idx:wait') - waiting)
else
  for _, gid in ipairs(ARGV) do grouped = grouped + redis.call('LLEN', Q .. ':g:' .. gid .. ':wait') end
end
return {
  redis.call('HGETALL', Q .. ':stats'),
  {
    waiting, grouped, redis.call('ZCARD', Q .. ':active'), redis.call('ZCARD', Q .. ':delayed'), redis.call('LLEN', Q .. ':failed'),
    redis.call('LLEN', Q .. ':completed'), redis.call('ZCARD', Q .. ':groups:ready'),
  },
  redis.call('EXISTS', Q .. ':has_groups'),
}
