#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/flush_stats"
--- @include "lib/run_fresh"
--- @include "lib/run_create"
--- @include "lib/run_roots"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_close"
--- @include "lib/run_end"

--- Start a run on one server: create it, list it, enqueue its first jobs.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:due (hash), R:keys (set), R:list:* R:stage:* (list), {runs:<shard>}:live (zset), those of enqueue and write_jobs
-- ARGV     now, id, spec (MessagePack, see lib/run_create and lib/run_roots)
-- replies  {"CREATED", due} | {"EXISTS", due} | {"CONFLICT"} | {"UNSTAGED"}: a staged list is gone, nothing is created; due = flat
--          {field, to...} of jobs that wait for a group, or are more than this script may enqueue: the caller enqueues and confirms them
-- repeat   {"EXISTS", due}: nothing changes
-- cost     about 20 commands and 15 per root job, at most 500 jobs
local R = anchor(KEYS[1])
local now, id, spec = clock(ARGV[1]), ARGV[2], cmsgpack.unpack(ARGV[3])
local done = run_create(R, spec, now)
if done == 'CONFLICT' or done == 'UNSTAGED' then return {done} end
if done == 'CREATED' then
  local tallies, deliveries, allowance = {}, {}, 500
  redis.call('ZADD', '{runs:' .. string.byte(id, -1) % 8 .. '}:live', digits(now), id)
  local run = run_fresh(R, spec)
  run_roots(run, spec, now, function(opened, n, from, to, front)
    if spec.shapes[n].grouped or to - from > allowance then
      run_due(opened, n, from, to)
    else
      allowance = allowance - (to - from)
      deliveries[#deliveries + 1] = {n, from, to, spec.shapes[n], front}
    end
  end)
  run_close(run, now)
  run_leave(run, id, now)
  local head = {id = id, plan = run.plan}
  for _, d in ipairs(deliveries) do run_jobs(head, d[1], d[2], d[3], d[4], now, d[5], tallies) end
  for Q, tally in pairs(tallies) do flush_stats(Q, tally, now) end
end
return {done, redis.call('HGETALL', R .. ':due')}
