#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/complete_job"
--- @include "lib/flush_stats"
--- @include "lib/give_back"
--- @include "lib/lease_check"
--- @include "lib/lease_next"
--- @include "lib/replay_get"
--- @include "lib/replay_put"
--- @include "lib/run_open"
--- @include "lib/run_record"
--- @include "lib/run_begin"
--- @include "lib/run_inputs"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_close"
--- @include "lib/run_end"

--- A worker's turn on one server: finish a batch of jobs and claim the next ones.
-- For each finish record, enqueue, confirm and ack; for each claim reserve, begin and inputs: the transitions of a run, made of the same
-- parts as the scripts that go slot by slot.
--
-- KEYS[1]  {queue}:meta of any queue of the server
-- keys     of every run and queue named: those of run_record, run_begin, enqueue, reserve, ack_success, ack_fail; {runs:<shard>}:live, :ended (zset)
-- ARGV     now, client, sequence number, message (MessagePack):
--            finishes = {{queue, job, run, token, finish (lib/run_record) | nil, again, delay_ms, shapes = index}...};
--              without finish: ack only; again: to the delayed lane instead
--            shapes = {shapes...}, queues = {queue...} to claim from, room = how many, lease_ms, plans = {[fingerprint] = true}
-- replies  {finished, jobs, returned, next_due}
--            finished = {{"RECORDED" | "ALREADY" | "STALE" | "GONE" | "ACKED", due}...} in the order sent; due = flat {field, to...} that waits to
--              be enqueued by the caller, who then confirms it and acks the job: the job stays leased
--            jobs = {{queue, job, token, plan, run's queue, attempt, errors, crashes, inputs, item}...}
--            returned = {{queue, job, "ALIEN" | "PLAN", plan}...} given back: no job of a run, or of a plan that is not served here
--            next_due = when the earliest delayed job of the queues is due, "0" for none
-- repeat   ALREADY or ACKED for what was finished, the same jobs (those that are still leased); a turn older than the client's last claims nothing
-- cost     about 20 commands a finish, 25 a claim
local MAX_SKIPPED = 200
local now, client, seq, message = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), cmsgpack.unpack(ARGV[4])
local runs, tallies = {}, {}

local function opened(id)
  if runs[id] == nil then runs[id] = run_open('{run:' .. id .. '}') or false end
  return runs[id]
end

local function tally_of(Q)
  tallies[Q] = tallies[Q] or {}
  return tallies[Q]
end

local function finish_one(f)
  local Q, run, word, due = '{' .. f.queue .. '}', nil, 'ACKED', {}
  if f.finish then
    run = opened(f.run)
    word = 'GONE'
    if run then
      local shapes, waits = message.shapes[f.shapes], false
      word = run_record(run, f.finish, shapes, now, function(_, n, from, to, front)
        if shapes[n].grouped then
          run_due(run, n, from, to)
          waits = true
        else
          run_jobs({id = f.run, flow = run.flow, plan = run.plan}, n, from, to, shapes[n], now, front, tallies)
        end
      end)
      if waits or word == 'ALREADY' then due = redis.call('HGETALL', run.R .. ':due') end
    end
  end
  if #due > 0 or word == 'STALE' then return {word, due} end
  local refused, lease = lease_check(Q, f.job, f.token)
  if not refused then
    if f.again and word ~= 'GONE' then
      give_back(Q, lease, now, now + f.delay_ms, tally_of(Q))
    else
      complete_job(Q, lease, now, tally_of(Q))
    end
  end
  return {word, due}
end

local sent, jobs, returned = {}, {}, {}

local function claim_one(Q, queue, lease)
  local id, n, i, epoch = string.match(lease.id, '^(.+)/(%d+)/(%d+)/(%d+)$')
  if not id or not lease.plan then
    give_back(Q, lease, now, now + 5000, tally_of(Q))
    returned[#returned + 1] = {queue, lease.id, 'ALIEN', ''}
    return false
  end
  local run = opened(id)
  if run and run.status == 'running' and not message.plans[run.plan] then
    give_back(Q, lease, now, now + 1000, tally_of(Q))
    returned[#returned + 1] = {queue, lease.id, 'PLAN', run.plan}
    return false
  end
  local word, t
  if run then word, t = run_begin(run, tonumber(n), tonumber(i), tonumber(epoch), lease.token, now) end
  if word ~= 'BEGUN' then
    complete_job(Q, lease, now, tally_of(Q))
    return false
  end
  local inputs, item = run_inputs(run, run_node(run, tonumber(n)), tonumber(i), sent)
  jobs[#jobs + 1] = {queue, lease.id, lease.token, run.plan, run.queue, t.attempts, t.errors, t.crashes, inputs, item}
  return true
end

local function claim(queue)
  local Q = '{' .. queue .. '}'
  local known, before = replay_get(Q, client, seq)
  if known == 'STALE' then return end
  if known == 'SAME' then
    for k = 1, #before, 2 do
      local refused, lease = lease_check(Q, before[k], before[k + 1])
      if not refused then
        lease.plan = true
        claim_one(Q, queue, lease)
      end
    end
    return
  end
  if redis.call('EXISTS', Q .. ':paused') == 1 then return end
  local claimed, skipped = {}, 0
  while #jobs < message.room and skipped < MAX_SKIPPED do
    local lease = lease_next(Q, now, message.lease_ms, client, tally_of(Q))
    if not lease then break end
    if claim_one(Q, queue, lease) then
      claimed[#claimed + 1] = lease.id
      claimed[#claimed + 1] = lease.token
    else
      skipped = skipped + 1
    end
  end
  if #claimed > 0 then replay_put(Q, client, seq, claimed) end
end

local finished = {}
for k, f in ipairs(message.finishes) do finished[k] = finish_one(f) end
local next_due = 0
for _, queue in ipairs(message.queues) do
  claim(queue)
  local first = redis.call('ZRANGE', '{' .. queue .. '}:delayed', 0, 0, 'WITHSCORES')[2]
  if first and (next_due == 0 or tonumber(first) < next_due) then next_due = tonumber(first) end
end
for id, run in pairs(runs) do
  if run then
    run_close(run, now)
    run_leave(run, id, now)
  end
end
for Q, tally in pairs(tallies) do flush_stats(Q, tally, now) end
return {finished, jobs, returned, digits(next_due)}
