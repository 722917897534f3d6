--- Read a run's head once per script.
-- The returned table is the script's only view of the run: parts change it in memory and run_close writes what changed, so that fifty
-- children of one run cost one read and one write of the head, of their node, and of each hash that holds what is known of them.
--
-- keys:    R:meta (hash)
-- returns: nil when the run is gone, else {R, tries = key of R:tries, status, plan, queue, open, keep_ms, ended_ms, generation, nodes = {}, children = {},
--          head = {}, put = {}, dropped = {}}
-- cost:    1 command
local function run_open(R)
  local meta = redis.call('HMGET', R .. ':meta', 'status', 'plan', 'queue', 'open', 'keep_ms', 'ended_ms', 'generation')
  if not meta[1] then return nil end
  return {
    R = R, tries = R .. ':tries', status = meta[1], plan = meta[2], queue = meta[3], open = tonumber(meta[4]),
    keep_ms = tonumber(meta[5]), ended_ms = tonumber(meta[6] or '0'), generation = meta[7] or '0',
    nodes = {}, children = {}, head = {}, put = {}, dropped = {}, ended_now = false, touched = false, ending = false, sent = false,
  }
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
