--- @include "lib/complete_jobs"
--- @include "lib/digits"
--- @include "lib/give_back"
--- @include "lib/lease_check"
--- @include "lib/lease_next"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/run_begin"
--- @include "lib/run_inputs"

--- Read the id of a job of a run: run, n, i (digits), epoch; nil when it is no job of a run.
local function job_named(id)
  -- The id of a run has no slash. With a pattern that would take one, the matching goes back and forth.
  local run, n, i, epoch = string.match(id, '^([^/]+)/(%d+)/(%d+)/(%d+)$')
  if not run or string.find(id, '/0%d', #run + 1) then return nil end
  return run, tonumber(n), i, tonumber(epoch)
end

--- Say what is to become of a job, and put its run into its lease; reads only.
local function judge_job(run, n, i, epoch, lease, message)
  lease.run = run
  if run.status == 'running' and not message.plans[run.plan] then return 'PLAN', run.plan end
  local word = run_may_begin(run, n, i, epoch, lease.token, message.hold)
  return word, word == 'DONE' and redis.call('HGETALL', run.R .. ':due')
end

--- Begin leased jobs [from, to] of a run: note it, and put into each what it takes and what is known of its attempts.
local function begin_jobs(run, leases, from, to, now, at, sent)
  local follow, behind = 0, nil
  for k = to, from, -1 do
    local job = leases[k].job
    follow = behind and behind.n == job.n and behind.index == job.index + 1 and follow + 1 or 0
    job.follow, behind = follow, job
  end
  for k = from, to do
    local job = leases[k].job
    job.inputs, job.item = run_inputs(run, run_node(run, job.n), job.index, job.follow, sent)
  end
  for k = from, to do
    local job = leases[k].job
    job.tries = run_begin(run, job.n, job.i, leases[k].token, now, at)
  end
end

--- The second half of a turn: claim jobs.
-- A job is judged before its lease is written, so that nothing is leased behind a suspect, and begun after.
--
-- desk:    see run_desk; the caller closes it
-- queues:  see turn_queues
-- returns: {heads, jobs, others, returned, owed, suspect}, as turn.lua replies them
local function turn_claim(message, desk, queues, now, client, seq)
  local MAX_SKIPPED, AWAY_MS = 200, {ALIEN = 5000, PLAN = 1000, BROKEN = 30000}
  local heads, others, returned, owed, suspect, sent, begun = {}, {}, {}, {}, {}, {bytes = 0}, 0
  local of_heads, indices, numbers, items, places = {}, {}, {}, {}, {}
  local at, prefix = digits(now), client .. '.' .. seq
  local how = leasing(now, message.lease_ms, prefix)

  --- Judge what is to become of a leased job: lease.job = {word, more, ...}.
  local function judge(lease)
    local run, n, i, epoch = job_named(lease.id)
    if not run or not lease.plan then
      lease.job = {word = 'ALIEN'}
      return true
    end
    local word, more = desk.with(run, judge_job, n, i, epoch, lease, message)
    lease.job = {
      word = word, more = more, run = run, n = n, i = i, index = tonumber(i), epoch = epoch, follow = 0, inputs = false, item = false, tries = false,
    }
    return word ~= 'SUSPECT'
  end

  --- The index in heads of what a job has in common with others of its queue, run and node.
  local function place_of(queue, lease)
    local job, run = lease.job, lease.run
    local nodes = places[job.run]
    if nodes and nodes[job.n] then return nodes[job.n] end
    heads[#heads + 1] = {queue, job.run, job.n, run.plan, run.queue}
    places[job.run] = nodes or {}
    places[job.run][job.n] = #heads
    return #heads
  end

  local function number_of(lease)
    return string.sub(lease.token, #prefix + 2)
  end

  local function tell_begun(queue, lease)
    local job = lease.job
    local t, inputs = job.tries, job.inputs
    begun = begun + 1
    of_heads[begun], indices[begun], numbers[begun], items[begun] = place_of(queue, lease), job.i, number_of(lease), job.item
    if job.epoch > 0 or t.attempts > 1 or #inputs > 0 then
      others[#others + 1] = {begun, job.epoch, t.attempts, t.errors, t.crashes, inputs}
    end
  end

  --- Begin those that were judged to be; those of one run that follow each other are one part of the work on it: what breaks it breaks them all.
  local function begin_all(leases)
    local from = 1
    while from <= #leases do
      local to, job = from, leases[from].job
      if job.word == 'BEGUN' then
        while leases[to + 1] and leases[to + 1].job.word == 'BEGUN' and leases[to + 1].job.run == job.run do to = to + 1 end
        local word, why = desk.still_with(job.run, begin_jobs, leases, from, to, now, at, sent)
        for k = from, word == 'BROKEN' and to or 0 do leases[k].job.word, leases[k].job.more = word, why end
      end
      from = to + 1
    end
  end

  --- Do with leased jobs what was judged of them; returns those that stay leased.
  local function settle(Q, tally, queue, leases)
    local staying, over = {}, {}
    begin_all(leases)
    for k = 1, #leases do
      local lease = leases[k]
      local job = lease.job
      local word, more = job.word, job.more
      if word == 'BEGUN' then
        tell_begun(queue, lease)
        staying[#staying + 1] = lease
      elseif word == 'SUSPECT' then
        suspect = {place_of(queue, lease), job.i, job.epoch, number_of(lease)}
        staying[#staying + 1] = lease
      elseif word == 'DONE' and #more > 0 then
        owed[#owed + 1] = {place_of(queue, lease), job.i, job.epoch, number_of(lease), more}
        staying[#staying + 1] = lease
      elseif AWAY_MS[word] then
        complete_jobs(Q, over, now, tally)
        over = {}
        give_back(Q, lease, now, now + AWAY_MS[word], tally)
        returned[#returned + 1] = {queue, lease.id, word, more or ''}
      else
        over[#over + 1] = lease
      end
    end
    complete_jobs(Q, over, now, tally)
    return staying
  end

  local function repeat_claims(Q, tally, queue, claims)
    local leases = {}
    places = {}
    for k = 1, #claims, 2 do
      local refused, lease = lease_check(Q, claims[k], claims[k + 1])
      if not refused then
        lease.plan = true
        judge(lease)
        leases[#leases + 1] = lease
      end
    end
    settle(Q, tally, queue, leases)
  end

  local function claim(Q, tally, queue)
    if redis.call('EXISTS', Q .. ':paused') == 1 then return end
    local claimed, skipped, over, leases = {}, 0, false, nil
    places = {}
    while not over and begun + #owed < message.room and #suspect == 0 and skipped < MAX_SKIPPED do
      leases, over = lease_next(Q, math.min(message.room - begun - #owed, MAX_SKIPPED - skipped), how, tally, judge)
      if #leases == 0 then break end
      local staying = settle(Q, tally, queue, leases)
      skipped = skipped + #leases - #staying
      for k = 1, #staying do
        claimed[#claimed + 1] = staying[k].id
        claimed[#claimed + 1] = staying[k].token
      end
    end
    if #claimed > 0 then replay_put(Q, client, tonumber(seq), claimed) end
  end

  local fresh = {}
  for _, queue in ipairs(message.queues) do
    queues.on(queue, function(Q, tally)
      local known, claims = replay_get(Q, client, tonumber(seq))
      if known == 'NEW' then fresh[#fresh + 1] = queue end
      if known == 'SAME' then repeat_claims(Q, tally, queue, claims) end
    end)
  end
  for _, queue in ipairs(fresh) do queues.on(queue, claim, queue) end
  return heads, {of_heads, indices, numbers, items}, others, returned, owed, suspect
end
