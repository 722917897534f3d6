#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Read what is known of a run and its nodes at one instant.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:fails (hash)
-- ARGV     now
-- replies  {now, meta, nodes, tries, fails}, all but now flat {field, value...}; {} when the run is gone
-- repeat   read only
-- cost     4 commands; grows with the attempts in flight (a window at most) and the failures
local R = anchor(KEYS[1])
local meta = redis.call('HGETALL', R .. ':meta')
if #meta == 0 then return {} end
return {
  digits(clock(ARGV[1])), meta, redis.call('HGETALL', R .. ':nodes'), redis.call('HGETALL', R .. ':tries'), redis.call('HGETALL', R .. ':fails'),
}
