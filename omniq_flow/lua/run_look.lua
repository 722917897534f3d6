#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/run_part"

--- See whether a run has ended, and take its result along if it has succeeded.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:out:<n> (hash), R:list:<source> (list)
-- ARGV     plan that the caller has at hand ("" for none), words... of the outcomes that make its result, as of run_read
-- replies  {} when the run is gone, or its head is not whole
--          | {status, plan, queue, parts}: a part for each word, as run_read replies from the first element on; fewer once they are a
--          megabyte, none unless the run has succeeded with that plan
-- repeat   read only
-- cost     1 command, 3-10 for each part
local R, parts, room = anchor(KEYS[1]), {}, 1024 * 1024
local head = redis.call('HMGET', R .. ':meta', 'status', 'plan', 'queue', 'flow', 'created_ms', 'updated_ms')
for field = 1, 6 do
  if not head[field] then return {} end
end
if head[1] == 'succeeded' and head[2] == ARGV[1] then
  for k = 2, #ARGV do
    if room <= 0 then break end
    local part, bytes = run_part(R, ARGV[k], 0, room)
    parts[#parts + 1], room = part, room - bytes
  end
end
return {head[1], head[2], head[3], parts}
