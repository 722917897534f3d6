--- @include "lib/complete_jobs"
--- @include "lib/give_back"
--- @include "lib/lease_check"
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
  local other = ends.others[k]
  finish.i, finish.token, finish.body = ends.indices[k], ends.tokens[k], ends.bodies[k]
  if other then
    finish.epoch, finish.verdict, finish.delay_ms, finish.lists = other[1], other[2], other[3], other[4]
  else
    finish.epoch, finish.verdict, finish.delay_ms, finish.lists = 0, 'ok', 0, nil
  end
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
        k = here, run = run, head = {id = id, plan = run.plan}, n = n, from = from, to = to, shape = shape, front = front,
      })
    end
  end

  -- Those that follow each other of one node are one part of the work on their run: what breaks it breaks them all.
  local function record(run, n, from, to)
    for k = from, to do
      read_finish(message.ends, k, finish)
      here, waits = k, false
      local word = run_record(run, n, finish, shapes, now, deliver)
      if waits or word == 'ALREADY' then
        told[k] = {word, redis.call('HGETALL', run.R .. ':due')}
      elseif word ~= 'RECORDED' then
        told[k] = {word, {}}
      end
    end
  end

  local places, others, from = message.ends.heads, message.ends.others, 1
  local function only_acked(k) return others[k] and others[k][2] == '' end
  while from <= #places do
    local to, head = from, message.heads[places[from]]
    if not only_acked(from) then
      while places[to + 1] == places[from] and not only_acked(to + 1) do to = to + 1 end
      id, shapes = head[2], message.shapes[head[4]]
      if desk.with(id, record, head[3], from, to) == 'GONE' then
        for k = from, to do told[k] = {'GONE', {}} end
      end
    end
    from = to + 1
  end
  return told, windows
end

--- Enqueue windows of one queue in order; those that follow each other, are of one plan and go to the same end of the line, together.
local function enqueue_windows(Q, tally, windows, now)
  local ids = {}
  for k, each in ipairs(windows) do
    local behind = windows[k + 1]
    run_job_ids(each.head, each.n, each.from, each.to, each.front, ids)
    if not behind or behind.head.plan ~= each.head.plan or behind.front ~= each.front then
      run_jobs_enter(Q, each.head, ids, each.shape.lease_ms, now, each.front, tally)
      ids = {}
    end
  end
end

--- End the leases of jobs of one queue in order: those that are tried again are given back. acks: k...
local function ack_jobs(Q, tally, acks, message, told, now)
  local done, seen, finish = {}, {}, {}
  for at = 1, #acks do
    local k = acks[at]
    read_finish(message.ends, k, finish)
    local head = message.heads[message.ends.heads[k]]
    head.before = head.before or head[2] .. '/' .. head[3] .. '/'
    local id = head.before .. finish.i .. (finish.epoch == 0 and '/0' or '/' .. finish.epoch)
    if seen[id] then
      -- Acked above: its lease is held by nobody any more.
    elseif (finish.verdict == 'again' or finish.verdict == 'crashed') and not (told[k] and told[k][1] == 'GONE') then
      local refused, lease = lease_check(Q, id, finish.token)
      complete_jobs(Q, done, now, tally)
      done = {}
      if not refused then give_back(Q, lease, now, now + finish.delay_ms, tally) end
    else
      done[#done + 1] = lease_held(Q, id, finish.token)
    end
    seen[id] = true
  end
  complete_jobs(Q, done, now, tally)
end

--- The first half of a turn: record what is finished, enqueue what became ready, ack the jobs.
--
-- desk:    see run_desk; the caller closes it
-- queues:  see turn_queues
-- returns: {{k, word, due | {why}}...}, as turn.lua replies it
local function turn_finish(message, desk, queues, now)
  local told, windows = record_all(message, desk, now)
  desk.write()

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

  local acks, reply, places = {}, {}, message.ends.heads
  for k = 1, #places do
    local head = message.heads[places[k]]
    local why = desk.broken(head[2])
    if why then told[k] = {'BROKEN', {why}} end
    local one = told[k]
    if one then reply[#reply + 1] = {k, one[1], one[2]} end
    if not one or #one[2] == 0 and one[1] ~= 'STALE' and one[1] ~= 'UNSTAGED' then line_up(acks, head[1], k) end
  end
  for _, queue in ipairs(acks) do queues.on(queue, ack_jobs, acks[queue], message, told, now) end
  return reply
end
