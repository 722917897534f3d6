--- @include "lib/run_node"

--- Store the lists that came with an outcome: its own elements, or parts of it that feed fan-outs.
-- Small lists come along; long ones were staged in chunks under the attempt's token and are committed by one RENAME, so only the
-- attempt whose outcome counts feeds children.
--
-- lists:   {{source, sizes = {n...} (the fan-outs over this list), count, items = {bytes...} | nil}...}
-- keys:    R:list:<source>, R:stage:<token>:<source> (list), R:keys (set)
-- cost:    2-3 commands a list
local function run_store(run, finish)
  for _, list in ipairs(finish.lists) do
    local key = run.R .. ':list:' .. list.source
    if list.items then
      for from = 1, #list.items, 500 do
        redis.call('RPUSH', key, unpack(list.items, from, math.min(from + 499, #list.items)))
      end
    else
      redis.call('RENAME', run.R .. ':stage:' .. finish.token .. ':' .. list.source, key)
      redis.call('PERSIST', key)
    end
    redis.call('SADD', run.R .. ':keys', 'list:' .. list.source)
    for _, n in ipairs(list.sizes) do node_set(run_node(run, n), 'of', list.count) end
  end
end
