--- @include "lib/digits"

--- Take ended runs whose term is over off their index, some at a time: each run that ends takes more than it adds.
--
-- keys:    {runs:<shard>}:ended (zset by the time at which they expire)
-- cost:    1-2 commands
local function runs_trim(key, now)
  local over = redis.call('ZRANGE', key, '-inf', '(' .. digits(now), 'BYSCORE', 'LIMIT', 0, 100)
  if #over > 0 then redis.call('ZREM', key, unpack(over)) end
end
