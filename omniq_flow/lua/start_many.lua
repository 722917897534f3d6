#!lua
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/flush_stats"
--- @include "lib/in_portions"
--- @include "lib/run_fresh"
--- @include "lib/run_create"
--- @include "lib/run_roots"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_close"
--- @include "lib/run_end"

--- Start many runs of a flow on one server: create them, list them, enqueue their first jobs.
-- All runs are written and listed before anything of theirs is enqueued. A run that has a key of a wrong kind breaks alone.
--
-- KEYS[1]  {run:<id>}:meta of the first run
-- keys     of each run: those of start; {runs:<shard>}:live, :ended (zset), those of enqueue and write_jobs
-- ARGV     now, message (MessagePack): what the runs have in common, as lib/run_create and lib/run_roots say, and
--          runs = {{id, digest, key, outs, lists}...}; none of their lists is staged
-- replies  {{k, "CONFLICT"} | {k, "BROKEN", why} | {k, "DUE", due}...}: what is to be said of the k-th run, nothing of most; due = flat
--          {field, to...} of jobs that wait for a group, or are more than this script may enqueue: the caller enqueues and confirms them
-- repeat   the same, for runs that are there nothing changes; jobs are due until they are confirmed
-- cost     about 4 commands a run and 2 per root job, at most 500 jobs; 30 in all
local now, spec = clock(ARGV[1]), cmsgpack.unpack(ARGV[2])
local told, deliveries, listed, allowance = {}, {}, {}, 500
spec.token = ''

local function begin(id, R, mine)
  local done = run_create(R, spec, now)
  if done ~= 'CREATED' then return done, done == 'EXISTS' end
  local run, noted = run_fresh(R, spec), false
  run_roots(run, spec, now, function(_, n, from, to, front)
    if spec.shapes[n].grouped or to - from > allowance then
      run_due(run, n, from, to)
      noted = true
    else
      allowance = allowance - (to - from)
      mine[#mine + 1] = {n, from, to, front}
    end
  end)
  run_close(run, now)
  run_leave(run, id, now)
  if run.ended_now then done = 'ENDED' end
  return done, noted
end

for k, one in ipairs(spec.runs) do
  local id, mine = one[1], {}
  local R = '{run:' .. id .. '}'
  spec.digest, spec.key, spec.outs, spec.lists = one[2], one[3], one[4], one[5]
  local fine, done, due = pcall(begin, id, R, mine)
  if not fine then
    told[#told + 1] = {k, 'BROKEN', tostring(done)}
  elseif done == 'CONFLICT' then
    told[#told + 1] = {k, 'CONFLICT'}
  else
    due = due and redis.call('HGETALL', R .. ':due') or {}
    if due[1] then told[#told + 1] = {k, 'DUE', due} end
    if mine[1] then deliveries[#deliveries + 1] = {id, mine} end
    if done == 'CREATED' then
      local shard = string.byte(id, -1) % 8
      local index = listed[shard] or {}
      listed[shard], index[#index + 1], index[#index + 2] = index, digits(now), id
    end
  end
end
for shard, index in pairs(listed) do in_portions('ZADD', '{runs:' .. shard .. '}:live', index) end

-- All jobs at the end of a line differ in nothing but their ids: the runs have one plan.
local tallies, lines, head = {}, {}, {plan = spec.plan}
for _, delivery in ipairs(deliveries) do
  head.id = delivery[1]
  for _, d in ipairs(delivery[2]) do
    local n, from, to, front = unpack(d)
    local shape = spec.shapes[n]
    if front then
      run_jobs(head, n, from, to, shape, now, front, tallies)
    else
      local Q = '{' .. shape.queue .. '}'
      tallies[Q], lines[Q] = tallies[Q] or {}, lines[Q] or {lease_ms = shape.lease_ms, ids = {}}
      run_job_ids(head, n, from, to, front, lines[Q].ids)
    end
  end
end
for Q, line in pairs(lines) do run_jobs_enter(Q, head, line.ids, line.lease_ms, now, false, tallies[Q]) end
for Q, tally in pairs(tallies) do flush_stats(Q, tally, now) end
return told
