--- @include "lib/digits"

--- enter_delayed(Q, id, due_ms, now, tally)
-- Puts a job that left its lane into the delayed lane. The caller has written state `delayed` and due_ms.
-- writes Q:delayed Q:idx:delayed; 2 commands
local function enter_delayed(Q, id, due_ms, now, tally)
  redis.call('ZADD', Q .. ':delayed', digits(due_ms), id)
  redis.call('ZADD', Q .. ':idx:delayed', digits(now), id)
  tally.delayed = true
end
