--- @include "lib/digits"
--- @include "lib/run_node"
--- @include "lib/run_tries"
--- @include "lib/run_outcome"

--- First transition: note that an attempt begins, or say why it must not.
-- An attempt that was begun under another lease and never ended is a crash: its worker died or lost the lease. Nobody knows which of the
-- attempts that ran there was the cause: each is suspect until one of its attempts has come to an end (run_record). With `hold` a suspect is
-- not begun, so that a worker may wait until nothing runs beside it.
--
-- keys:    R:nodes, R:tries, R:out, R:out:<n> (hash)
-- returns: 'BEGUN', tries | 'OVER' (run ended) | 'DONE' (outcome there, or failed for good) | 'STALE' (another epoch is due)
--          | 'SUSPECT' (nothing is written: begin it without `hold`, alone)
-- repeat:  the same token again is BEGUN again and changes nothing
-- cost:    4 commands, 1 less from the second job of a node on
local function run_begin(run, n, i, epoch, token, now, hold)
  if run.status ~= 'running' then return 'OVER' end
  local node = run_node(run, n)
  if run_has_outcome(run, node, i) then return 'DONE' end
  local t = tries_read(run.R, n, i)
  if t.state == 'failed' then return t.epoch == epoch and 'DONE' or 'STALE' end
  if t.epoch ~= epoch then return 'STALE' end
  if node.ended and not node.of then error('the outcome of node ' .. n .. ' is gone') end
  if t.token == token then return 'BEGUN', t end
  if hold and (t.token ~= '' or t.state == 'suspect') then return 'SUSPECT' end
  if t.token ~= '' then
    t.crashes = t.crashes + 1
    t.state = 'suspect'
  end
  t.attempts = t.attempts + 1
  t.token = token
  t.began = digits(now)
  tries_write(run.R, n, i, t)
  node_set(node, 'tries', node.tries + 1)
  if not node.began then node_set(node, 'began', now) end
  return 'BEGUN', t
end
