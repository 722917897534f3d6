#!lua flags=allow-oom
--- @include "lib/anchor"
--- Fourth transition: these successors are in their queues.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:due (hash)
-- ARGV     field, to, field, to... as they were told
-- replies  {"OK", n}: n entries were still noted as due
-- repeat   {"OK", 0}
-- cost     1-2 commands an entry
local due = anchor(KEYS[1]) .. ':due'
local n = 0
for k = 1, #ARGV, 2 do
  if redis.call('HGET', due, ARGV[k]) == ARGV[k + 1] then n = n + redis.call('HDEL', due, ARGV[k]) end
end
return {'OK', n}
