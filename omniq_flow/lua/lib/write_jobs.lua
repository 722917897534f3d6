--- @include "lib/write_job"

--- write_jobs(Q, ids, job, at, more, tally) -> ids of those that were written, in order
-- Writes waiting jobs that differ in nothing but their ids, each as write_job does. Several are struck from a stamp, a hash that exists within
-- the script alone: to copy it costs half of what it costs to write it, and a key that is there already is not copied over.
-- reads and writes what write_job names, writes Q:stamp (hash, deleted again); 2 commands a job, and 3 for several
local function write_jobs(Q, ids, job, at, more, tally)
  local SEVERAL, stamp = 4, Q .. ':stamp'
  local new, left, written = {}, {}, {}
  if #ids >= SEVERAL then
    redis.call('DEL', stamp)
    -- With an id that is as long, a copy has the size that it stays at.
    put_job(stamp, job, 'wait', at, {'id', ids[#ids], unpack(more)})
    for k = 1, #ids do
      local key = Q .. ':job:' .. ids[k]
      if redis.call('COPY', stamp, key) == 1 then
        redis.call('HSET', key, 'id', ids[k])
        new[k], tally.enqueue = true, true
      else
        left[#left + 1] = k
      end
    end
    redis.call('DEL', stamp)
  else
    for k = 1, #ids do left[k] = k end
  end
  for _, k in ipairs(left) do new[k] = write_job(Q, ids[k], job, 'wait', at, more, tally) end
  for k = 1, #ids do
    if new[k] then written[#written + 1] = ids[k] end
  end
  return written
end
