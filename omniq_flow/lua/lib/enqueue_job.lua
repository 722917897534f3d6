--- @include "lib/digits"
--- @include "lib/enter_delayed"
--- @include "lib/enter_ready"
--- @include "lib/group_settle"
--- @include "lib/write_job"

--- enqueue_job(Q, job, now, tally) -> 'OK' | 'LIVE'
-- Puts a job into its ready lane, or into the delayed lane when job.due_ms > now.
-- job: id, payload, max_attempts, timeout_ms, backoff_ms (numbers or digits); optional: due_ms (number), gid, group_limit (number; a group's
-- first one above 0 stays), front (true: ahead of the ungrouped line; in a group FIFO stands), plan (one more field of the hash).
-- LIVE: the id is in wait, delayed or active, it is left alone and nothing is written. An id in completed or failed leaves that lane and is
-- queued anew, as a new job.
-- reads and writes Q:job:<id> Q:wait Q:g:<gid>:* Q:groups:ready Q:delayed Q:idx:* Q:completed Q:failed, writes Q:has_groups; 4 commands
-- ungrouped, up to 14 else (LREM over failed is linear in its length)
local function enqueue_job(Q, job, now, tally)
  local id, gid = job.id, job.gid
  local later, more = (job.due_ms or 0) > now, {}
  if gid then more[1], more[2] = 'gid', gid end
  if job.plan then more[#more + 1], more[#more + 2] = 'plan', job.plan end
  if later then more[#more + 1], more[#more + 2] = 'due_ms', digits(job.due_ms) end
  if not write_job(Q, id, job, later and 'delayed' or 'wait', digits(now), more, tally) then return 'LIVE' end
  if later then
    enter_delayed(Q, id, job.due_ms, now, tally)
  else
    enter_ready(Q, {id}, gid, now, not gid and job.front, tally)
  end
  if gid then
    redis.call('SET', Q .. ':has_groups', '1')
    if (job.group_limit or 0) > 0 then
      redis.call('SETNX', Q .. ':g:' .. gid .. ':limit', digits(job.group_limit))
    end
    group_settle(Q, gid, now, tally, 0)
  end
  return 'OK'
end
