--- @include "lib/digits"
--- @include "lib/in_portions"

--- Write the fields of a run's hashes that this script put and dropped; what is left is for run_close.
--
-- keys:    R:tries, R:fails, R:out, R:out:<n> (hash); R:keys (set) when the run has ended
-- cost:    1 command for each hash of which fields were put or dropped, and at most 2 more
local function run_write(run)
  -- Read first what no part has read: a key of a wrong kind must not be noticed between the writes.
  if run.status ~= 'running' and not run.ending then run.ending = redis.call('SMEMBERS', run.R .. ':keys') end
  if run.put.fails or run.dropped.fails then redis.call('HLEN', run.R .. ':fails') end
  if #run.dropped > 0 then
    for _, name in ipairs(run.dropped) do in_portions('HDEL', run.R .. ':' .. name, run.dropped[name]) end
    run.dropped = {}
  end
  if #run.put > 0 then
    for _, name in ipairs(run.put) do in_portions('HSET', run.R .. ':' .. name, run.put[name]) end
    run.put = {}
  end
end

--- Write what this script changed in a run, and tell who waits when it ended.
-- A run that has ended keeps one clock for all its keys: a late writer may create a key anew, which gets the rest of the term.
--
-- keys:    R:meta, R:nodes (hash), those of run_write; the keys that R:keys names when the run has ended
-- cost:    at most 2 commands for a live run, and those of run_write; one more for each key of an ended one
local function run_close(run, now)
  local fields, size = {}, 0
  run_write(run)
  for _, node in pairs(run.nodes) do
    if next(node.changed) then
      for field in pairs(node.changed) do
        fields[size + 1], fields[size + 2] = node.fields .. field, digits(node[field])
        size = size + 2
      end
    end
  end
  in_portions('HSET', run.R .. ':nodes', fields)
  if #fields > 0 or next(run.head) then
    local head = {'updated_ms', digits(now)}
    for field, value in pairs(run.head) do
      head[#head + 1] = field
      head[#head + 1] = value
    end
    redis.call('HSET', run.R .. ':meta', unpack(head))
    run.touched = true
  end
  if run.ended_now then redis.call('PUBLISH', run.R .. ':ended', run.status) end
  if run.status ~= 'running' and run.touched then
    local rest = digits(math.max(1, run.ended_ms + run.keep_ms - now))
    for _, name in ipairs({'meta', 'nodes', 'out', 'tries', 'fails', 'due', 'keys'}) do
      redis.call('PEXPIRE', run.R .. ':' .. name, rest, 'NX')
    end
    for _, name in ipairs(run.ending) do
      redis.call('PEXPIRE', run.R .. ':' .. name, rest, 'NX')
    end
  end
end
