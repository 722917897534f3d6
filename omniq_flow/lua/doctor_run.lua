#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Read what tells whether a run is sound: no outcome itself, but which there are.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:out R:out:<n> R:due (hash), R:list:<source> (list)
-- ARGV     now, fan-outs (MessagePack array of nodes), sources (MessagePack array of the names of stored lists)
-- replies  {now, meta, nodes, tries, due, outcomes, children, lengths, recorded}: hashes flat; outcomes = {node...}, children = {how many of each
--          fan-out have theirs}, lengths = {of each list}, recorded = {<n>/<i>...} those of the first 1,000 attempts whose outcome is there;
--          {} when there is no head
-- repeat   read only
-- cost     7 commands, 1 a fan-out, 1 a list and 1 an attempt; grows with the attempts in flight and the failures
local R, now, fan_outs, lengths = anchor(KEYS[1]), clock(ARGV[1]), cmsgpack.unpack(ARGV[2]), {}
local meta = redis.call('HGETALL', R .. ':meta')
if #meta == 0 then return {} end
local children, is_fan_out, recorded = {}, {}, {}
for k, n in ipairs(fan_outs) do
  children[k], is_fan_out[tostring(n)] = redis.call('HLEN', R .. ':out:' .. n), true
end
for k, source in ipairs(cmsgpack.unpack(ARGV[3])) do lengths[k] = redis.call('LLEN', R .. ':list:' .. source) end
local tries = redis.call('HGETALL', R .. ':tries')
for k = 1, math.min(#tries / 2, 1000) do
  local place = tries[2 * k - 1]
  local n, i = string.match(place, '^(%d+)/(%d+)$')
  local there = n and (is_fan_out[n] and redis.call('HEXISTS', R .. ':out:' .. n, i) or redis.call('HEXISTS', R .. ':out', n))
  if there == 1 then recorded[#recorded + 1] = place end
end
return {
  digits(now), meta, redis.call('HGETALL', R .. ':nodes'), tries, redis.call('HGETALL', R .. ':due'), redis.call('HKEYS', R .. ':out'), children,
  lengths, recorded,
}
