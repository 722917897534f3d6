--- @include "lib/counter_settle"
--- @include "lib/run_node"
--- @include "lib/run_child"
--- @include "lib/run_store"
--- @include "lib/run_complete"

--- Note the outcome of a child: that it is there, and that its attempts are no longer of interest; run_close writes it.
local function record_outcome(run, node, child, finish)
  local t = child.tries
  child.done = true
  run_drop(run, 'tries', child.place)
  -- Of a large fan-out only the children that are failing now have a failure.
  if node.of and t.errors + t.crashes > 0 then run_drop(run, 'fails', child.place) end
  if node.of then
    run_put(run, 'out:' .. node.name, finish.i, finish.body)
  else
    run_put(run, 'out', node.name, finish.body)
    run.outcomes[node.name] = finish.body
  end
end

--- Refuse to settle a fan-out that is damaged: before anything is written of this outcome.
local function record_checks(run, node, shape)
  if shape.map and not (node.of and node.open) then error('the counter of fan-out ' .. node.n .. ' is gone') end
  if node.of and node.open == 1 then
    local name = 'out:' .. node.name
    local there = redis.call('HLEN', run.R .. ':' .. name) + #(run.put[name] or {}) / 2
    if there ~= node.of - 1 then error('outcomes of fan-out ' .. node.n .. ' are gone') end
  end
end

--- Second transition: record how an attempt ended, count it for its successors, deliver those that became ready.
-- The token must be that of the latest begun attempt; a late one is refused before anything is changed. All but lists is written by run_close.
--
-- finish:  {i, epoch, token, verdict = 'ok' | 'again' | 'crashed' | 'fail', lists | nil, body}; body is the outcome's bytes (ok) or the
--          error (else); lists are stored as run_store says
-- shapes:  as run_complete wants them
-- returns: 'RECORDED' | 'ALREADY' (this attempt's end is recorded, or the outcome is there) | 'STALE' | 'UNSTAGED' (a staged list is gone:
--          stage it again); nothing is changed for the last three
-- repeat:  ALREADY, nothing changes
-- cost:    1-3 commands, plus those of lists
local function run_record(run, n, finish, shapes, now, deliver)
  local node = run_node(run, n)
  local child = run_child(run, node, finish.i)
  if child.done then return 'ALREADY' end
  local t = child.tries
  if t.epoch == finish.epoch and t.spent == finish.token then return 'ALREADY' end
  if t.epoch ~= finish.epoch or t.token ~= finish.token then return 'STALE' end

  if finish.verdict == 'ok' then
    if finish.lists and not run_staged(run.R, finish) then return 'UNSTAGED' end
    record_checks(run, node, shapes[n])
    if finish.lists then run_store(run, finish) end
    record_outcome(run, node, child, finish)
    if not node.of then
      run_complete(run, n, shapes, now, deliver)
      return 'RECORDED'
    end
    local counted, open = counter_settle(node.open, false)
    node_set(node, 'open', open)
    if counted == 'LAST' then
      run_complete(run, n, shapes, now, deliver)
    else
      fan_out_more(run, node, shapes[n], deliver, false)
    end
    return 'RECORDED'
  end

  t.spent, t.token = t.token, ''
  if finish.verdict == 'crashed' then
    t.crashes = t.crashes + 1
  else
    t.errors = t.errors + 1
    -- It only stood beside what killed its worker: apart from that, it comes to an end. One that had died alone stays suspect.
    if t.state == 'suspect' and t.crashes == 1 then t.crashes, t.state = 0, '' end
  end
  if finish.verdict == 'fail' then
    t.state = 'failed'
    node_set(node, 'ended', now)
    if run.status == 'running' then run.head.failed = child.place end
    run_end(run, 'failed', now)
  end
  run_tried(run, child)
  run_put(run, 'fails', child.place, finish.body)
  return 'RECORDED'
end
