--- @include "lib/enqueue_job"

--- The id of a job: run, node, index and epoch.
local function run_job_id(head, job)
  return head.id .. '/' .. job.n .. '/' .. job.i .. '/' .. job.epoch
end

--- Enqueue one job of a run.
-- Its id is derived from run, node, index and epoch, so that enqueuing again is harmless while it is live; a surplus one is acked away
-- by begin. The queue never gives a run's job up: errors and crashes are counted in the run.
--
-- head:    {id, flow, plan} of the run
-- job:     {n, i, epoch, gid | nil, limit | nil}
-- keys:    those of enqueue_job in the queue's slot
local function run_job(head, Q, job, lease_ms, now, front, tally)
  return enqueue_job(Q, {
    id = run_job_id(head, job),
    payload = '{"flow":"' .. head.flow .. '"}', plan = head.plan,
    max_attempts = 1000000000, timeout_ms = lease_ms, backoff_ms = 0,
    gid = job.gid, group_limit = job.limit, front = front,
  }, now, tally)
end

--- Enqueue children [from, to) of an ungrouped node, all in their first epoch, in order wherever they go.
--
-- tallies: the tally of each queue by its base, as flush_stats wants it; entries are made as needed
local function run_jobs(head, n, from, to, shape, now, front, tallies)
  local Q = '{' .. shape.queue .. '}'
  tallies[Q] = tallies[Q] or {}
  local first, last, step = from, to - 1, 1
  if front then first, last, step = to - 1, from, -1 end
  for i = first, last, step do
    run_job(head, Q, {n = n, i = i, epoch = 0}, shape.lease_ms, now, front, tallies[Q])
  end
end
