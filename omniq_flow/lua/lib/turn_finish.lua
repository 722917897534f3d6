--- @include "lib/complete_jobs"
--- @include "lib/enter_ready"
--- @include "lib/give_back"
--- @include "lib/lease_held"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_record"

--- Put something last into the list of a queue; lists = {queue..., [queue] = {...}}.
local function line_up(lists, queue, one)
  if not lists[queue] then
    lists[#lists + 1] = queue
    lists[queue] = {}
  end
  local list = lists[queue]
  list[#list + 1] = one
end

--- Record the ends of attempts; returns what became of each, and the windows that became ready: {k, run, head, n, from, to, shape, front}, lined
-- up by queue. More than 500 jobs, and those that wait for a group, are noted as due instead.
local function record_all(message, desk, now)
  local finished, windows, allowance = {}, {}, 500
  local here, id, shapes, waits

  local function deliver(run, n, from, to, front)
    local shape = shapes[n]
    if shape.grouped or to - from > allowance then
      run_due(run, n, from, to)
      waits = true
    else
      allowance = allowance - (to - from)
      line_up(windows, shape.queue, {
        k = here, run = run, head = {id = id, flow = run.flow, plan = run.plan}, n = n, from = from, to = to, shape = shape, front = front,
      })
    end
  end

  local function record(run, n, finish)
    local word = run_record(run, n, finish, shapes, now, deliver)
    return word, (waits or word == 'ALREADY') and redis.call('HGETALL', run.R .. ':due')
  end

  for k, finish in ipairs(message.finishes) do
    local head, word, more = message.heads[finish.head], 'ACKED', nil
    if finish.verdict then
      here, id, shapes, waits = k, head[2], message.shapes[head[4]], false
      word, more = desk.with(id, record, head[3], finish)
    end
    finished[k] = {word, more or {}}
  end
  return finished, windows
end

--- Enqueue windows of one queue in order, those at the front and those at the end together.
local function enqueue_windows(Q, tally, windows, now)
  local ahead, behind = {}, {}
  for _, each in ipairs(windows) do
    run_jobs_write(Q, each.head, each.n, each.from, each.to, each.shape, now, each.front, tally, each.front and ahead or behind)
  end
  enter_ready(Q, ahead, nil, now, true, tally)
  enter_ready(Q, behind, nil, now, false, tally)
end

--- End the leases of jobs of one queue in order: those that are tried again are given back.
local function ack_jobs(Q, tally, acks, now)
  local done, seen = {}, {}
  for _, each in ipairs(acks) do
    local lease = not seen[each.id] and lease_held(Q, each.id, each.token)
    seen[each.id] = true
    if lease and each.again_ms then
      complete_jobs(Q, done, now, tally)
      done = {}
      give_back(Q, lease, now, now + each.again_ms, tally)
    elseif lease then
      done[#done + 1] = lease
    end
  end
  complete_jobs(Q, done, now, tally)
end

--- The first half of a turn: record what is finished, enqueue what became ready, ack the jobs.
--
-- desk:    see run_desk; it is closed after recording
-- queues:  see turn_queues
-- returns: finished, as turn.lua replies it
local function turn_finish(message, desk, queues, now)
  local finished, windows = record_all(message, desk, now)
  desk.close()

  for _, queue in ipairs(windows) do
    local sound = {}
    for _, each in ipairs(windows[queue]) do
      if not desk.broken(each.head.id) then sound[#sound + 1] = each end
    end
    if not queues.on(queue, enqueue_windows, sound, now) then
      for _, each in ipairs(sound) do
        desk.with(each.head.id, run_due, each.n, each.from, each.to)
        finished[each.k][2] = redis.call('HGETALL', each.run.R .. ':due')
      end
    end
  end

  local acks = {}
  for k, finish in ipairs(message.finishes) do
    local head, word = message.heads[finish.head], finished[k][1]
    local why = desk.broken(head[2])
    if why then
      finished[k] = {'BROKEN', {why}}
    elseif #finished[k][2] == 0 and word ~= 'STALE' and word ~= 'UNSTAGED' then
      local again = (finish.verdict == 'again' or finish.verdict == 'crashed') and word ~= 'GONE'
      line_up(acks, head[1], {
        id = head[2] .. '/' .. head[3] .. '/' .. finish.i .. '/' .. finish.epoch, token = finish.token, again_ms = again and (finish.delay_ms or 0),
      })
    end
  end
  for _, queue in ipairs(acks) do queues.on(queue, ack_jobs, acks[queue], now) end
  return finished
end
