--- @include "lib/digits"
--- @include "lib/in_portions"

--- Write what this script changed in a run, and tell who waits when it ended.
-- A run that has ended keeps one clock for all its keys: a late writer may create a key anew, which gets the rest of the term.
--
-- keys:    R:meta, R:nodes, R:tries, R:fails, R:out, R:out:<n> (hash); R:keys (set) and the keys that it names when the run has ended
-- cost:    at most 3 commands for a live run, and 1 for each hash of which fields were put or dropped; one more for each key of an ended one
local function run_close(run, now)
  local fields, ending = {}, {}
  -- Read first what no part has read: a key of a wrong kind must not be noticed between the writes.
  if run.status ~= 'running' then ending = redis.call('SMEMBERS', run.R .. ':keys') end
  if run.put.fails or run.dropped.fails then redis.call('HLEN', run.R .. ':fails') end
  for _, name in ipairs(run.dropped) do in_portions('HDEL', run.R .. ':' .. name, run.dropped[name]) end
  for _, name in ipairs(run.put) do in_portions('HSET', run.R .. ':' .. name, run.put[name]) end
  run.put, run.dropped = {}, {}
  for n, node in pairs(run.nodes) do
    for field in pairs(node.changed) do
      fields[#fields + 1] = n .. ':' .. field
      fields[#fields + 1] = digits(node[field])
    end
    node.changed = {}
  end
  in_portions('HSET', run.R .. ':nodes', fields)
  if #fields > 0 or next(run.head) then
    local head = {'updated_ms', digits(now)}
    for field, value in pairs(run.head) do
      head[#head + 1] = field
      head[#head + 1] = value
    end
    redis.call('HSET', run.R .. ':meta', unpack(head))
    run.head = {}
    run.touched = true
  end
  if run.ended_now then redis.call('PUBLISH', run.R .. ':ended', run.status) end
  if run.status ~= 'running' and run.touched then
    local rest = digits(math.max(1, run.ended_ms + run.keep_ms - now))
    for _, name in ipairs({'meta', 'nodes', 'out', 'tries', 'fails', 'due', 'keys'}) do
      redis.call('PEXPIRE', run.R .. ':' .. name, rest, 'NX')
    end
    for _, name in ipairs(ending) do
      redis.call('PEXPIRE', run.R .. ':' .. name, rest, 'NX')
    end
  end
end
