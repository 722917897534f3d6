--- Read a page of an index of runs, from after a run on (empty to begin).
--
-- keys:    {runs:<shard>}:live | {runs:<shard>}:ended (zset)
-- cost:    2 commands
local function run_page(index, after, count)
  local rank = redis.call('ZRANK', index, after)
  local from = rank and rank + 1 or 0
  return redis.call('ZRANGE', index, from, from + count - 1)
end
