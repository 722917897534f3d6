#!lua flags=no-writes
--- @include "lib/anchor"
--- Read an outcome, or the next of its elements.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:nodes R:out R:out:<n> (hash), R:list:<source> (list)
-- ARGV     word (`v<k>` outcome of node k, `m<k>` results of fan-out k, `x<source>` a stored list, `e<k>` as m), first element
-- replies  {"VALUE", bytes} | {"ITEMS", count, {bytes | false...}} at most 500 from the first on | {"NONE"}: not there (yet)
-- repeat   read only
-- cost     2-3 commands
local R, kind, source, from = anchor(KEYS[1]), string.sub(ARGV[1], 1, 1), string.sub(ARGV[1], 2), tonumber(ARGV[2])
local LIMIT = 500
if kind == 'm' or kind == 'e' then
  local count = tonumber(redis.call('HGET', R .. ':nodes', source .. ':of') or '')
  if not count then return {'NONE'} end
  local indices = {}
  for i = from, math.min(from + LIMIT, count) - 1 do indices[#indices + 1] = i end
  return {'ITEMS', count, #indices > 0 and redis.call('HMGET', R .. ':out:' .. source, unpack(indices)) or {}}
end
if kind == 'v' then
  local value = redis.call('HGET', R .. ':out', source)
  if not value then return {'NONE'} end
  if string.sub(value, 1, 1) ~= 'L' then return {'VALUE', value} end
end
local list = R .. ':list:' .. source
return {'ITEMS', redis.call('LLEN', list), redis.call('LRANGE', list, from, from + LIMIT - 1)}
