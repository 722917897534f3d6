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
--- @include "lib/run_desk"
--- @include "lib/run_record"
--- @include "lib/run_begin"
--- @include "lib/run_inputs"
--- @include "lib/run_due"
--- @include "lib/run_jobs"

--- A worker's turn on one server: finish a batch of jobs and claim the next ones.
-- For each finish record, enqueue, confirm and ack; for each claim reserve, begin and inputs: the transitions of a run, made of the same
-- parts as the scripts that go slot by slot. All runs are written before anything of theirs is enqueued, and all is enqueued before a job is
-- acked. A run or a queue with a damaged key (of a wrong kind) breaks alone: what cannot be enqueued is noted as due.
--
-- KEYS[1]  {queue}:meta of any queue of the server
-- keys     of every run and queue named: those of run_record, run_begin, enqueue, reserve, ack_success, ack_fail; {runs:<shard>}:live, :ended (zset)
-- ARGV     now, client, sequence number, message (MessagePack):
--            finishes = {{queue, job, run, token, finish (lib/run_record) | nil, again, delay_ms, shapes = index}...};
--              without finish: ack only; again: to the delayed lane instead
--            shapes = {shapes...}, queues = {queue...} that the worker serves, claim = whether to claim from them or repeat what a lost
--              reply claimed, room = how many at most (jobs and owed), lease_ms, plans = {[fingerprint] = true},
--              hold = whether to leave a suspect (lib/run_begin) unbegun, and claim nothing after it
-- replies  {finished, jobs, returned, owed, damaged, next_due, suspect}
--            finished = {{"RECORDED" | "ALREADY" | "STALE" | "UNSTAGED" | "GONE" | "ACKED" | "BROKEN", due | {why}}...} in the order sent;
--              due = flat {field, to...} that waits for a group, or is more than this script may enqueue, and is enqueued by the caller, who then confirms it and acks the job; a job with due, and one
--              that is STALE, UNSTAGED or BROKEN, stays leased
--            jobs = {{queue, job, token, plan, run's queue, attempt, errors, crashes, inputs, item | false}...}
--            returned = {{queue, job, "ALIEN" | "PLAN" | "BROKEN", plan | why}...} given back for a while: no job of a run, one of a plan that is
--              not served here, or one of a damaged run
--            owed = {{queue, job, token, plan, run's queue, due}...} done before, by a worker that died before what is due was enqueued
--            damaged = {{queue, why}...} queues that could not be worked on
--            next_due = milliseconds until the earliest delayed job of the queues is due, "-1" for none
--            suspect = {} | {queue, job, token, plan, run's queue}: leased, not begun; it is to be begun alone (run_begin)
-- repeat   ALREADY or ACKED for what was finished, the same jobs (those that are still leased), room or not; a turn older than the last one
--          in which the client claimed from a queue claims nothing there
-- cost     about 20 commands a finish, 25 a claim
local MAX_SKIPPED, MAX_DELIVERED = 200, 500
local ALIEN_MS, PLAN_MS, BROKEN_MS = 5000, 1000, 30000
local now, client, seq, message = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), cmsgpack.unpack(ARGV[4])
local desk, tallies = run_desk(now), {}

local function tally_of(Q)
  tallies[Q] = tallies[Q] or {}
  return tallies[Q]
end

--- Do a part of the work on a queue; a damaged one is left alone from then on.
local damaged, broken_queues = {}, {}
local function on_queue(queue, part)
  if broken_queues[queue] then return false end
  local fine, why = pcall(part)
  if fine then return true end
  broken_queues[queue] = true
  damaged[#damaged + 1] = {queue, tostring(why)}
  return false
end

local finished, deliveries, allowance = {}, {}, MAX_DELIVERED

local function record_one(k, f)
  if not f.finish then return {'ACKED', {}} end
  local shapes, ready, waits = message.shapes[f.shapes], {}, false
  local word, more = desk.with(f.run, function(run)
    local head = {id = f.run, flow = run.flow, plan = run.plan}
    local recorded = run_record(run, f.finish, shapes, now, function(_, n, from, to, front)
      if shapes[n].grouped or to - from > allowance then
        run_due(run, n, from, to)
        waits = true
      else
        allowance = allowance - (to - from)
        ready[#ready + 1] = {head, n, from, to, shapes[n], front}
      end
    end)
    return recorded, (waits or recorded == 'ALREADY') and redis.call('HGETALL', run.R .. ':due')
  end)
  deliveries[k] = ready
  return {word, more or {}}
end

local function deliver_one(k, f)
  local why = desk.broken(f.run)
  if why then finished[k] = {'BROKEN', {why}} end
  for _, d in ipairs(not why and deliveries[k] or {}) do
    if not on_queue(d[5].queue, function() run_jobs(d[1], d[2], d[3], d[4], d[5], now, d[6], tallies) end) then
      desk.with(f.run, function(run) run_due(run, d[2], d[3], d[4]) end)
      finished[k][2] = redis.call('HGETALL', '{run:' .. f.run .. '}:due')
    end
  end
end

local function ack_one(f, word, due)
  if #due > 0 or word == 'STALE' or word == 'UNSTAGED' then return end
  local Q = '{' .. f.queue .. '}'
  on_queue(f.queue, function()
    local refused, lease = lease_check(Q, f.job, f.token)
    if refused then return end
    if f.again and word ~= 'GONE' then
      give_back(Q, lease, now, now + f.delay_ms, tally_of(Q))
    else
      complete_job(Q, lease, now, tally_of(Q))
    end
  end)
end

for k, f in ipairs(message.finishes) do finished[k] = record_one(k, f) end
desk.close()
for k, f in ipairs(message.finishes) do deliver_one(k, f) end
for k, f in ipairs(message.finishes) do ack_one(f, finished[k][1], finished[k][2]) end

local sent, jobs, returned, owed, suspect = {bytes = 0}, {}, {}, {}, {}

local function hand_back(queue, lease, ms, word, what)
  local Q = '{' .. queue .. '}'
  give_back(Q, lease, now, now + ms, tally_of(Q))
  returned[#returned + 1] = {queue, lease.id, word, what}
end

--- Begin a job that was leased; true when it stays leased, for the worker to run it or to deliver what it owes.
local function begin_one(queue, lease)
  local id, n, i, epoch = string.match(lease.id, '^(.+)/(%d+)/(%d+)/(%d+)$')
  if not id or not lease.plan then
    hand_back(queue, lease, ALIEN_MS, 'ALIEN', '')
    return false
  end
  n, i = tonumber(n), tonumber(i)
  local word, got = desk.with(id, function(run)
    if run.status == 'running' and not message.plans[run.plan] then return 'PLAN', run.plan end
    local begun, t = run_begin(run, n, i, tonumber(epoch), lease.token, now, message.hold)
    if begun == 'DONE' then return begun, {queue, lease.id, lease.token, run.plan, run.queue, redis.call('HGETALL', run.R .. ':due')} end
    if begun == 'SUSPECT' then return begun, {queue, lease.id, lease.token, run.plan, run.queue} end
    if begun ~= 'BEGUN' then return begun end
    local inputs, item = run_inputs(run, run_node(run, n), i, sent)
    return begun, {queue, lease.id, lease.token, run.plan, run.queue, t.attempts, t.errors, t.crashes, inputs, item}
  end)
  if word == 'PLAN' or word == 'BROKEN' then
    hand_back(queue, lease, word == 'PLAN' and PLAN_MS or BROKEN_MS, word, got)
  elseif word == 'BEGUN' then
    jobs[#jobs + 1] = got
  elseif word == 'SUSPECT' then
    suspect = got
  elseif word == 'DONE' and #got[6] > 0 then
    owed[#owed + 1] = got
  else
    complete_job('{' .. queue .. '}', lease, now, tally_of('{' .. queue .. '}'))
  end
  return word == 'BEGUN' or word == 'SUSPECT' or (word == 'DONE' and #got[6] > 0)
end

local function repeat_claims(queue, claims)
  local Q = '{' .. queue .. '}'
  for k = 1, #claims, 2 do
    local refused, lease = lease_check(Q, claims[k], claims[k + 1])
    if not refused then
      lease.plan = true
      begin_one(queue, lease)
    end
  end
end

local function claim(queue)
  local Q = '{' .. queue .. '}'
  if redis.call('EXISTS', Q .. ':paused') == 1 then return end
  local claimed, skipped = {}, 0
  while #jobs + #owed < message.room and #suspect == 0 and skipped < MAX_SKIPPED do
    local lease = lease_next(Q, now, message.lease_ms, client .. '.' .. ARGV[3], tally_of(Q))
    if not lease then break end
    if begin_one(queue, lease) then
      claimed[#claimed + 1] = lease.id
      claimed[#claimed + 1] = lease.token
    else
      skipped = skipped + 1
    end
  end
  if #claimed > 0 then replay_put(Q, client, seq, claimed) end
end

if message.claim then
  local fresh = {}
  for _, queue in ipairs(message.queues) do
    on_queue(queue, function()
      local known, claims = replay_get('{' .. queue .. '}', client, seq)
      if known == 'NEW' then fresh[#fresh + 1] = queue end
      if known == 'SAME' then repeat_claims(queue, claims) end
    end)
  end
  for _, queue in ipairs(fresh) do on_queue(queue, function() claim(queue) end) end
end
desk.close()

local next_due = -1
for _, queue in ipairs(message.queues) do
  on_queue(queue, function()
    local first = redis.call('ZRANGE', '{' .. queue .. '}:delayed', 0, 0, 'WITHSCORES')[2]
    local rest = first and math.max(0, tonumber(first) - now)
    if rest and (next_due < 0 or rest < next_due) then next_due = rest end
  end)
end
for Q, tally in pairs(tallies) do on_queue(string.sub(Q, 2, -2), function() flush_stats(Q, tally, now) end) end
return {finished, jobs, returned, owed, damaged, digits(next_due), suspect}
