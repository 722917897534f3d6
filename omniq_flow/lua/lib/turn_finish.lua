--- @include "lib/complete_jobs"
--- @include "lib/enter_ready"
--- @include "lib/give_back"
--- @include "lib/lease_held"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_record"

--- Put something last into the list of a queue; lists = {queue..., [queue] = {...}}.
local function line_up(lists, queue, one)
  local list = lists[queue]
  if not list then
    list = {}
    lists[queue], lists[#lists + 1] = list, queue
  end
  list[#list + 1] = one
end

--- Read the k-th end of an attempt into `finish`, one table for all: columns cost a message, and the script that reads it, far less than rows.
local function read_finish(ends, k, finish)
  local other = ends.others[k] or {0, 'ok', 0}
  finish.i, finish.token, finish.body = ends.indices[k], ends.tokens[k], ends.bodies[k]
  finish.epoch, finish.verdict, finish.delay_ms, finish.lists = other[1], other[2], other[3], other[4]
end

--- Record the ends of attempts; returns what became of each, {[k] = {word, due} | nil for RECORDED, ACKED and nothing due}, and the windows that
-- became ready: {k, run, head, n, from, to, shape, front}, lined up by queue. More than 500 jobs, and those that wait for a group, are
-- noted as due instead.
local function record_all(message, desk, now)
  local told, windows, allowance, finish = {}, {}, 500, {}
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

  local function record(run, n)
    local word = run_record(run, n, finish, shapes, now, deliver)
    return word, (waits or word == 'ALREADY') and redis.call('HGETALL', run.R .. ':due')
  end

  for k, place in ipairs(message.ends.heads) do
    local head = message.heads[place]
    read_finish(message.ends, k, finish)
    if finish.verdict ~= '' then
      here, id, shapes, waits = k, head[2], message.shapes[head[4]], false
      local word, due = desk.with(id, record, head[3])
      if word ~= 'RECORDED' or due and #due > 0 then told[k] = {word, due or {}} end
    end
  end
  return told, windows
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

--- End the leases of jobs of one queue in order: those that are tried again are given back. acks: k...
local function ack_jobs(Q, tally, acks, message, told, now)
  local done, seen, finish = {}, {}, {}
  for _, k in ipairs(acks) do
    local head = message.heads[message.ends.heads[k]]
    read_finish(message.ends, k, finish)
    local id = head[2] .. '/' .. head[3] .. '/' .. finish.i .. '/' .. finish.epoch
    local lease = not seen[id] and lease_held(Q, id, finish.token)
    local again = (finish.verdict == 'again' or finish.verdict == 'crashed') and not (told[k] and told[k][1] == 'GONE')
    seen[id] = true
    if lease and again then
      complete_jobs(Q, done, now, tally)
      done = {}
      give_back(Q, lease, now, now + finish.delay_ms, tally)
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
-- returns: {{k, word, due | {why}}...}, as turn.lua replies it
local function turn_finish(message, desk, queues, now)
  local told, windows = record_all(message, desk, now)
  desk.close()

  for _, queue in ipairs(windows) do
    local sound = {}
    for _, each in ipairs(windows[queue]) do
      if not desk.broken(each.head.id) then sound[#sound + 1] = each end
    end
    if not queues.on(queue, enqueue_windows, sound, now) then
      for _, each in ipairs(sound) do
        desk.with(each.head.id, run_due, each.n, each.from, each.to)
        told[each.k] = {'RECORDED', redis.call('HGETALL', each.run.R .. ':due')}
      end
    end
  end

  local acks, reply = {}, {}
  for k, place in ipairs(message.ends.heads) do
    local head = message.heads[place]
    local why = desk.broken(head[2])
    if why then told[k] = {'BROKEN', {why}} end
    local word, due = 'RECORDED', {}
    if told[k] then
      word, due = told[k][1], told[k][2]
      reply[#reply + 1] = {k, word, due}
    end
    if #due == 0 and word ~= 'STALE' and word ~= 'UNSTAGED' then line_up(acks, head[1], k) end
  end
  for _, queue in ipairs(acks) do queues.on(queue, ack_jobs, acks[queue], message, told, now) end
  return reply
end
