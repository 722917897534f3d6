#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/counter_read"
--- @include "lib/counter_settle"
--- @include "lib/digits"

--- Take one child off a completion key; who takes the last one enqueues the continuation.
-- The last child's zero is remembered for `keep_ms`, also when the key is opened anew meanwhile: it may have died before it could act on it.
--
-- KEYS[1]  {cc:<key>}:meta
-- keys     C:count (string), C:done (set), C:owner C:settled (hash)
-- ARGV     child_id, keep_ms
-- replies  {"OPEN", n}: n > 0 children are still open | {"LAST"}: this child settled it | {"SETTLED"}: another child did | {"ERR",
--          "CHILD_REQUIRED" | "NO_COUNTER"}
-- repeat   {"OPEN", n} with the n of now, {"LAST"} or {"SETTLED"}
-- cost     up to 9 commands
local C, child = anchor(KEYS[1]), ARGV[1]
if child == '' then
  return {'ERR', 'CHILD_REQUIRED'}
end
local open, settled = counter_read(C)
if settled and settled.last == child then
  return {'LAST'}
end
if not open then
  return settled and {'SETTLED'} or {'ERR', 'NO_COUNTER'}
end
local word, remaining = counter_settle(open.count, redis.call('SISMEMBER', C .. ':done', child) == 1)
if word == 'COUNTED' then
  redis.call('SADD', C .. ':done', child)
  redis.call('SET', C .. ':count', digits(remaining))
elseif word == 'LAST' then
  redis.call('DEL', C .. ':count', C .. ':done', C .. ':owner')
  redis.call('HSET', C .. ':settled', 'owner', open.owner or '', 'expected', open.expected or '', 'last', child)
  redis.call('PEXPIRE', C .. ':settled', ARGV[2])
  return {'LAST'}
end
return {'OPEN', digits(remaining)}
