--- @include "lib/run_node"

--- Tell whether the lists that were staged for an outcome are all there, whole: the guard before run_store.
-- A server that lost them (a failover, a day's wait) asks for them again instead of committing a part.
--
-- keys:    R:list:<source>, R:stage:<token>:<source> (list)
-- cost:    1 command a staged list
local function run_staged(R, finish)
  for _, list in ipairs(finish.lists) do
    if not list.items then
      local length = redis.call('LLEN', R .. ':stage:' .. finish.token .. ':' .. list.source)
      if length == 0 then length = redis.call('LLEN', R .. ':list:' .. list.source) end
      if length ~= list.count then return false end
    end
  end
  return true
end

--- Store the lists that came with an outcome: its own elements, or parts of it that feed fan-outs.
-- Small lists come along; long ones were staged in chunks under the attempt's token and are committed by one RENAME, so only the
-- attempt whose outcome counts feeds children.
--
-- lists:   {{source, sizes = {n...} (the fan-outs over this list), count, items = {bytes...} | nil}...}
-- keys:    R:list:<source>, R:stage:<token>:<source> (list), R:keys (set)
-- cost:    2-4 commands a list
local function run_store(run, finish)
  for _, list in ipairs(finish.lists) do
    local key, staged = run.R .. ':list:' .. list.source, run.R .. ':stage:' .. finish.token .. ':' .. list.source
    if list.items then
      for from = 1, #list.items, 500 do
        redis.call('RPUSH', key, unpack(list.items, from, math.min(from + 499, #list.items)))
      end
    elseif redis.call('EXISTS', staged) == 1 then
      redis.call('RENAME', staged, key)
      redis.call('PERSIST', key)
    end
    redis.call('SADD', run.R .. ':keys', 'list:' .. list.source)
    for _, n in ipairs(list.sizes) do node_set(run_node(run, n), 'of', list.count) end
  end
end
