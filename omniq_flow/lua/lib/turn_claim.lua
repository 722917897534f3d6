--- @include "lib/complete_jobs"
--- @include "lib/give_back"
--- @include "lib/lease_held"
--- @include "lib/lease_next"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/run_begin"
--- @include "lib/run_inputs"

--- Read the id of a job of a run into its lease: run, n, i (digits), epoch; false when it is no job of a run.
local function job_named(lease)
  -- The id of a run has no slash. With a pattern that would take one, the matching goes back and forth.
  local run, n, i, epoch = string.match(lease.id, '^([^/]+)/(%d+)/(%d+)/(%d+)$')
  if not run or not lease.plan or string.find(lease.id, '/0%d', #run + 1) then return false end
  lease.run, lease.n, lease.i, lease.epoch = run, tonumber(n), i, tonumber(epoch)
  return true
end

--- Say what is to become of a job; reads only.
local function judge_job(run, lease, plans, hold)
  if run.status == 'running' and not plans[run.plan] then return 'PLAN', run.plan end
  local word = run_may_begin(run, lease.n, lease.i, lease.epoch, lease.token, hold)
  return word, word == 'DONE' and redis.call('HGETALL', run.R .. ':due')
end

--- Begin a leased job, and put what it takes into its lease, and what is known of its attempts.
local function begin_job(run, lease, follow, now, sent)
  lease.inputs, lease.item = run_inputs(run, run_node(run, lease.n), tonumber(lease.i), follow, sent)
  lease.tries = run_begin(run, lease.n, lease.i, lease.token, now)
  return 'BEGUN'
end

--- The second half of a turn: claim jobs.
-- A job is judged before its lease is written, so that nothing is leased behind a suspect, and begun after.
--
-- desk:    see run_desk; the caller closes it
-- queues:  see turn_queues
-- returns: {heads, jobs, others, returned, owed, suspect}, as turn.lua replies them
local function turn_claim(message, desk, queues, now, client, seq)
  local MAX_SKIPPED, AWAY_MS = 200, {ALIEN = 5000, PLAN = 1000, BROKEN = 30000}
  local prefix = client .. '.' .. seq
  local heads, jobs, others, returned, owed, suspect, sent = {}, {{}, {}, {}, {}}, {}, {}, {}, {}, {bytes = 0}
  local begun, places = 0, {}

  local function judge(lease)
    if not job_named(lease) then
      lease.word = 'ALIEN'
      return true
    end
    lease.word, lease.more = desk.with(lease.run, judge_job, lease, message.plans, message.hold)
    return lease.word ~= 'SUSPECT'
  end

  --- The index in heads of what a lease has in common with others of its queue, run and node.
  local function place_of(queue, lease)
    local nodes = places[lease.run] or {}
    places[lease.run] = nodes
    if not nodes[lease.n] then
      local _, head = desk.with(lease.run, function(run) return '', {queue, lease.run, lease.n, run.plan, run.queue} end)
      heads[#heads + 1] = head
      nodes[lease.n] = #heads
    end
    return nodes[lease.n]
  end

  local function row(queue, lease)
    return {place_of(queue, lease), lease.i, lease.epoch, string.sub(lease.token, #prefix + 2)}
  end

  local function tell_begun(queue, lease)
    local t = lease.tries
    begun = begun + 1
    jobs[1][begun], jobs[2][begun], jobs[3][begun] = place_of(queue, lease), lease.i, string.sub(lease.token, #prefix + 2)
    jobs[4][begun] = lease.item
    if lease.epoch > 0 or t.attempts > 1 or t.errors + t.crashes > 0 or #lease.inputs > 0 then
      others[#others + 1] = {begun, lease.epoch, t.attempts, t.errors, t.crashes, lease.inputs}
    end
  end

  --- Tell how many begun children of the same node stand right behind each.
  local function following(leases)
    local counts = {}
    for k = #leases, 1, -1 do
      local lease, behind = leases[k], leases[k + 1]
      local next_one = behind and behind.word == 'BEGUN' and behind.run == lease.run and behind.n == lease.n and behind.i - 1 == tonumber(lease.i)
      counts[k] = next_one and counts[k + 1] + 1 or 0
    end
    return counts
  end

  --- Do with leased jobs what was judged of them; returns those that stay leased.
  local function settle(Q, tally, queue, leases)
    local staying, over, counts = {}, {}, following(leases)
    for k, lease in ipairs(leases) do
      if lease.word == 'BEGUN' then lease.word, lease.more = desk.with(lease.run, begin_job, lease, counts[k], now, sent) end
      local word, more = lease.word, lease.more
      if AWAY_MS[word] then
        complete_jobs(Q, over, now, tally)
        over = {}
        give_back(Q, lease, now, now + AWAY_MS[word], tally)
        returned[#returned + 1] = {queue, lease.id, word, more or ''}
      elseif word == 'BEGUN' then
        tell_begun(queue, lease)
        staying[#staying + 1] = lease
      elseif word == 'SUSPECT' then
        suspect = row(queue, lease)
        staying[#staying + 1] = lease
      elseif word == 'DONE' and #more > 0 then
        local debt = row(queue, lease)
        debt[5] = more
        owed[#owed + 1] = debt
        staying[#staying + 1] = lease
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
      local lease = lease_held(Q, claims[k], claims[k + 1])
      if lease then
        lease.plan = true
        judge(lease)
        leases[#leases + 1] = lease
      end
    end
    settle(Q, tally, queue, leases)
  end

  local function claim(Q, tally, queue)
    if redis.call('EXISTS', Q .. ':paused') == 1 then return end
    local claimed, skipped = {}, 0
    places = {}
    while begun + #owed < message.room and #suspect == 0 and skipped < MAX_SKIPPED do
      local most = math.min(message.room - begun - #owed, MAX_SKIPPED - skipped)
      local leases = lease_next(Q, most, now, message.lease_ms, prefix, tally, judge)
      if #leases == 0 then break end
      local staying = settle(Q, tally, queue, leases)
      skipped = skipped + #leases - #staying
      for _, lease in ipairs(staying) do
        claimed[#claimed + 1] = lease.id
        claimed[#claimed + 1] = lease.token
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
  return heads, jobs, others, returned, owed, suspect
end
