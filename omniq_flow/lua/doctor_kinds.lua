#!lua flags=no-writes
--- @include "lib/anchor"

--- Tell of which kind keys are, and whether they will expire.
--
-- KEYS[1]  <base>:meta
-- keys     <base>:<name> (any)
-- ARGV     name... (at most 400)
-- replies  {kind, milliseconds left (-1: never expires, -2: not there)...} flat, in the order of ARGV
-- repeat   read only
-- cost     2 commands a name
local base, found = anchor(KEYS[1]), {}
for _, name in ipairs(ARGV) do
  local key = base .. ':' .. name
  found[#found + 1] = redis.call('TYPE', key)['ok']
  found[#found + 1] = redis.call('PTTL', key)
end
return found
