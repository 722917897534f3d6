#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Read what is known of a run and its nodes at one instant.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:fails (hash)
-- ARGV     now
-- replies  {now, meta, nodes, tries, fails}, all but now flat {field, value...}, empty for what is damaged; {} when the run is gone
-- repeat   read only
-- cost     4 commands; grows with the attempts in flight (a window at most) and the failures
local R = anchor(KEYS[1])
local meta = redis.call('HGETALL', R .. ':meta')
if #meta == 0 then return {} end
local function all(name)
  local found = redis.pcall('HGETALL', R .. ':' .. name)
  return found['err'] and {} or found
end
return {digits(clock(ARGV[1])), meta, all('nodes'), all('tries'), all('fails')}
