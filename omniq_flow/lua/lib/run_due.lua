--- Note children [from, to) of node n as ready and not yet confirmed to be in their queue.
-- The field carries the run's generation, so that a confirmation from before a retry cannot confirm what the retry made due.
--
-- keys:    R:due (hash: `<n>/<from>/<generation>` -> to)
local function run_due(run, n, from, to)
  redis.call('HSET', run.R .. ':due', n .. '/' .. from .. '/' .. run.generation, to)
end
