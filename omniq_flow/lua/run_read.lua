#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/run_slice"

--- Read an outcome, or the next of its elements.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:nodes R:out R:out:<n> (hash), R:list:<source> (list)
-- ARGV     word (`v<k>` outcome of node k, `m<k>` results of fan-out k, `x<source>` a stored list, `e<k>` as m), first element
-- replies  {"VALUE", bytes} | {"ITEMS", count, {bytes | false...}} from the first on, at most 500 and, but for the last of them, a megabyte
--          | {"NONE"}: not there (yet)
-- repeat   read only
-- cost     3-10 commands
local R, kind, source, from = anchor(KEYS[1]), string.sub(ARGV[1], 1, 1), string.sub(ARGV[1], 2), tonumber(ARGV[2])
local LIMIT, BUDGET = 500, 1024 * 1024
if kind == 'm' or kind == 'e' then
  local count = tonumber(redis.call('HGET', R .. ':nodes', source .. ':of'))
  if not count then return {'NONE'} end
  return {'ITEMS', count, (run_slice(R, nil, source, from, math.min(from + LIMIT, count), BUDGET))}
end
if kind == 'v' then
  local value = redis.call('HGET', R .. ':out', source)
  if not value then return {'NONE'} end
  if string.sub(value, 1, 1) ~= 'L' then return {'VALUE', value} end
end
local list = R .. ':list:' .. source
local count = redis.call('LLEN', list)
return {'ITEMS', count, (run_slice(R, list, nil, from, math.min(from + LIMIT, count), BUDGET))}
