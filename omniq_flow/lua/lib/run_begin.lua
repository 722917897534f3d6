--- @include "lib/run_node"
--- @include "lib/run_child"

--- First transition, its first half: say whether an attempt may begin, or why it must not; reads only.
-- An attempt that was begun under another lease and never ended is a crash: its worker died or lost the lease. Nobody knows which of the
-- attempts that ran there was the cause: each is suspect until one of its attempts has come to an end (run_record). With `hold` a suspect is
-- not begun, so that a worker may wait until nothing runs beside it.
--
-- keys:    R:nodes, R:tries, R:out, R:out:<n> (hash)
-- returns: 'BEGUN' | 'OVER' (run ended) | 'DONE' (outcome there, or failed for good) | 'STALE' (another epoch is due)
--          | 'SUSPECT' (begin it without `hold`, alone)
-- repeat:  the same token again is BEGUN again
-- cost:    3 commands, 1 less from the second job of a node on
local function run_may_begin(run, n, i, epoch, token, hold)
  if run.status ~= 'running' then return 'OVER' end
  local node = run_node(run, n)
  local child = run_child(run, node, i)
  if child.done then return 'DONE' end
  local t = child.tries
  if t.state == 'failed' then return t.epoch == epoch and 'DONE' or 'STALE' end
  if t.epoch ~= epoch then return 'STALE' end
  if node.ended then error('the outcome of node ' .. n .. ' is gone') end
  if hold and t.token ~= token and (t.token ~= '' or t.state == 'suspect') then return 'SUSPECT' end
  return 'BEGUN'
end

--- Its second half: note that the attempt begins, when run_may_begin says so; run_close writes it.
--
-- at:      now in digits
-- returns: the tries
-- repeat:  the same token again changes nothing
-- cost:    none
local function run_begin(run, n, i, token, now, at)
  local node = run_node(run, n)
  local child = run_child(run, node, i)
  local t = child.tries
  if t.token == token then return t end
  if t.token ~= '' then
    t.crashes = t.crashes + 1
    t.state = 'suspect'
  end
  t.attempts = t.attempts + 1
  t.token = token
  t.began = at
  run_tried(run, child)
  node_set(node, 'tries', node.tries + 1)
  if not node.began then node_set(node, 'began', now) end
  return t
end
