--- @include "lib/run_slice"

--- Read an outcome, or the next of its elements.
--
-- word:    `v<k>` outcome of node k, `m<k>` results of fan-out k, `x<source>` a stored list, `e<k>` as m
-- keys:    R:nodes R:out R:out:<n> (hash), R:list:<source> (list)
-- returns: {'VALUE', bytes} | {'ITEMS', count, {bytes | false...}} from one on, at most 500 and, but for the last of them, `budget` bytes
--          | {'NONE'}: not there (yet); and their bytes
-- cost:    3-10 commands
local function run_part(R, word, from, budget)
  local LIMIT, kind, source = 500, string.sub(word, 1, 1), string.sub(word, 2)
  local count, list
  if kind == 'm' or kind == 'e' then
    count = tonumber(redis.call('HGET', R .. ':nodes', source .. ':of'))
    if not count then return {'NONE'}, 0 end
  else
    if kind == 'v' then
      local value = redis.call('HGET', R .. ':out', source)
      if not value then return {'NONE'}, 0 end
      if string.sub(value, 1, 1) ~= 'L' then return {'VALUE', value}, #value end
      -- As many as there were when it was recorded: a list that has lost elements must not pass for a shorter one.
      count = tonumber(string.sub(value, 2))
    end
    list = R .. ':list:' .. source
    count = count or redis.call('LLEN', list)
  end
  local items, bytes = run_slice(R, list, source, from, math.min(from + LIMIT, count), budget)
  return {'ITEMS', count, items}, bytes
end
