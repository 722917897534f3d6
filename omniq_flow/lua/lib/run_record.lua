--- @include "lib/counter_settle"
--- @include "lib/run_node"
--- @include "lib/run_tries"
--- @include "lib/run_outcome"
--- @include "lib/run_store"
--- @include "lib/run_complete"

--- Second transition: record how an attempt ended, count it for its successors, deliver those that became ready.
-- The token must be that of the latest begun attempt; a late one is refused before anything is written.
--
-- finish:  {n, i, epoch, token, verdict = 'ok' | 'again' | 'crashed' | 'fail', lists, body}; body is the outcome's bytes (ok) or the error (else);
--          lists are stored as run_store says
-- shapes:  as run_complete wants them
-- returns: 'RECORDED' | 'ALREADY' (this attempt's end is recorded, or the outcome is there) | 'STALE' | 'UNSTAGED' (a staged list is gone:
--          stage it again); nothing is written for the last three
-- repeat:  ALREADY, nothing changes
-- cost:    4-7 commands, plus those of the successors
local function run_record(run, finish, shapes, now, deliver)
  local n, i = finish.n, finish.i
  local node = run_node(run, n)
  if run_has_outcome(run, node, i) then return 'ALREADY' end
  local t = tries_read(run.R, n, i)
  if t.epoch == finish.epoch and t.spent == finish.token then return 'ALREADY' end
  if t.epoch ~= finish.epoch or t.token ~= finish.token then return 'STALE' end

  if finish.verdict == 'ok' then
    if not run_staged(run.R, finish) then return 'UNSTAGED' end
    if shapes[n].map and not (node.of and node.open) then error('the counter of fan-out ' .. n .. ' is gone') end
    if node.of and node.open == 1 and redis.call('HLEN', run.R .. ':out:' .. n) ~= node.of - 1 then
      error('outcomes of fan-out ' .. n .. ' are gone')
    end
    redis.call('HDEL', run.R .. ':tries', n .. '/' .. i)
    -- Of a large fan-out only the children that are failing now have a failure.
    if node.of and t.errors + t.crashes > 0 then redis.call('HDEL', run.R .. ':fails', n .. '/' .. i) end
    run_store(run, finish)
    if node.of then
      redis.call('HSET', run.R .. ':out:' .. n, i, finish.body)
      local counted, open = counter_settle(node.open, false)
      node_set(node, 'open', open)
      if counted == 'LAST' then
        run_complete(run, n, shapes, now, deliver)
      else
        fan_out_more(run, node, shapes[n], deliver, false)
      end
    else
      redis.call('HSET', run.R .. ':out', n, finish.body)
      run_complete(run, n, shapes, now, deliver)
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
    if run.status == 'running' then run.head.failed = n .. '/' .. i end
    run_end(run, 'failed', now)
  end
  tries_write(run.R, n, i, t)
  redis.call('HSET', run.R .. ':fails', n .. '/' .. i, finish.body)
  run.touched = true
  return 'RECORDED'
end
