--- @include "lib/digits"
--- @include "lib/enqueue_job"
--- @include "lib/enter_ready"
--- @include "lib/write_jobs"

--- The id of a job: run, node, index and epoch.
local function run_job_id(head, job)
  return head.id .. '/' .. job.n .. '/' .. job.i .. '/' .. job.epoch
end

--- What all jobs of a run have in common, as enqueue_job takes it.
-- The queue never gives a run's job up: errors and crashes are counted in the run.
local function run_job_form(head, lease_ms)
  return {
    payload = '{}', plan = head.plan, max_attempts = '1000000000', timeout_ms = digits(lease_ms), backoff_ms = '0',
  }
end

--- Enqueue one job of a run.
-- Its id is derived from run, node, index and epoch, so that enqueuing again is harmless while it is live; a surplus one is acked away
-- by begin.
--
-- head:    {id, plan} of the run
-- job:     {n, i, epoch, gid | nil, limit | nil}
-- keys:    those of enqueue_job in the queue's slot
local function run_job(head, Q, job, lease_ms, now, front, tally)
  local form = run_job_form(head, lease_ms)
  form.id, form.gid, form.group_limit, form.front = run_job_id(head, job), job.gid, job.limit, front
  return enqueue_job(Q, form, now, tally)
end

--- Add to `ids` those of children [from, to) of a node, all in their first epoch, in the order in which they are to be pushed to their lane: the
-- last one first where they go to the front.
local function run_job_ids(head, n, from, to, front, ids)
  local before, size = head.id .. '/' .. digits(n) .. '/', #ids
  local first, last, step = from, to - 1, 1
  if front then first, last, step = to - 1, from, -1 end
  for i = first, last, step do
    size = size + 1
    ids[size] = before .. digits(i) .. '/0'
  end
end

--- Enqueue jobs of runs that have the plan of `head`, in order wherever they go.
--
-- cost:    2 commands, and those of write_jobs
local function run_jobs_enter(Q, head, ids, lease_ms, now, front, tally)
  local written = write_jobs(Q, ids, run_job_form(head, lease_ms), digits(now), {'plan', head.plan}, tally)
  enter_ready(Q, written, nil, now, front, tally)
end

--- Enqueue children [from, to) of an ungrouped node, all in their first epoch, in order wherever they go.
--
-- tallies: the tally of each queue by its base, as flush_stats wants it; entries are made as needed
-- cost:    that of run_jobs_enter
local function run_jobs(head, n, from, to, shape, now, front, tallies)
  local Q, ids = '{' .. shape.queue .. '}', {}
  tallies[Q] = tallies[Q] or {}
  run_job_ids(head, n, from, to, front, ids)
  run_jobs_enter(Q, head, ids, shape.lease_ms, now, front, tallies[Q])
end
