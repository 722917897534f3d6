--- @include "lib/digits"
--- @include "lib/runs_trim"

--- Bring a run to its end: succeeded, failed or cancelled.
-- All keys start their term together; whoever waits for the result hears it on the channel R:ended.
--
-- keys:    none by itself; run_close writes the head and the expiries
-- repeat:  a run that has ended keeps its first end
local function run_end(run, status, now)
  if run.status ~= 'running' then return end
  run.status = status
  run.ended_ms = now
  run.ended_now = true
  run.head.status = status
  run.head.ended_ms = now
end

--- Move a run that ended in this script from the index of live runs to that of ended ones.
-- Some whose term is over leave it. Only for one server: the index has a slot of its own.
--
-- keys:    {runs:<shard>}:live, {runs:<shard>}:ended (zset)
local function run_leave(run, id, now)
  if not run.ended_now then return end
  local shard = '{runs:' .. string.byte(id, -1) % 8 .. '}'
  redis.call('ZREM', shard .. ':live', id)
  redis.call('ZADD', shard .. ':ended', digits(now + run.keep_ms), id)
  runs_trim(shard .. ':ended', now)
end
