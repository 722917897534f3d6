--- Make a run of what is stored in its head, in the order of the fields below.
-- The table is the script's only view of the run: parts change it in memory and run_close writes what changed, so that fifty
-- children of one run cost one read and one write of the head, of their node, and of each hash that holds what is known of them.
--
-- returns: {R, tries = key of R:tries, status, plan, queue, open, keep_ms, ended_ms, generation, nodes = {}, children = {},
--          outcomes = those recorded in this script by '<n>', head = {}, put = {}, dropped = {}}
local function run_of(R, stored)
  return {
    R = R, tries = R .. ':tries', status = stored[1], plan = stored[2], queue = stored[3], open = tonumber(stored[4]),
    keep_ms = tonumber(stored[5]), ended_ms = tonumber(stored[6] or '0'), generation = stored[7] or '0',
    nodes = {}, children = {}, outcomes = {}, head = {}, put = {}, dropped = {}, ended_now = false, touched = false, ending = false, sent = false,
  }
end

--- Read a run's head once per script.
--
-- keys:    R:meta (hash)
-- returns: false when the run is gone, else as run_of; an error where its head lacks what every run of ours has, which whoever claims must know
-- cost:    1 command
local function run_open(R)
  local stored = redis.call('HMGET', R .. ':meta', 'status', 'plan', 'queue', 'open', 'keep_ms', 'ended_ms', 'generation')
  if stored[1] and not (stored[2] and stored[3]) then error('the plan or the queue is missing in R:meta') end
  return stored[1] and run_of(R, stored)
end

local function noted(changes, name)
  local items = changes[name]
  if not items then
    items = {}
    changes[name], changes[#changes + 1] = items, name
  end
  return items
end

--- Give a field of one of a run's hashes a value; run_close writes it.
local function run_put(run, name, field, value)
  local items = noted(run.put, name)
  local size = #items
  items[size + 1], items[size + 2] = field, value
  run.touched = true
end

--- Take a field out of one of a run's hashes; run_close does it, before anything is put.
local function run_drop(run, name, field)
  local fields = noted(run.dropped, name)
  fields[#fields + 1] = field
  run.touched = true
end
