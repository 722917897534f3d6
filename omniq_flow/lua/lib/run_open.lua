--- Read a run's head once per script.
-- The returned table is the script's only view of the run: parts change it in memory and run_close writes what changed,
-- so that fifty children of one run cost one read and one write of the head and of their node.
--
-- keys:    R:meta (hash)
-- returns: nil when the run is gone, else {R, status, plan, flow, queue, open, keep_ms, ended_ms, generation, nodes = {}, head = {}}
-- cost:    1 command
local function run_open(R)
  local meta = redis.call('HMGET', R .. ':meta', 'status', 'plan', 'flow', 'queue', 'open', 'keep_ms', 'ended_ms', 'generation')
  if not meta[1] then return nil end
  return {
    R = R, status = meta[1], plan = meta[2], flow = meta[3], queue = meta[4], open = tonumber(meta[5]),
    keep_ms = tonumber(meta[6]), ended_ms = tonumber(meta[7] or '0'), generation = meta[8] or '0',
    nodes = {}, head = {}, ended_now = false, touched = false,
  }
end
