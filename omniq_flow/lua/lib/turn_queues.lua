--- The queues that one script works on: a tally of each (see flush_stats), and which are damaged.
-- `on(queue, part, ...)` does a part of the work on a queue, part(Q, tally, ...), and tells whether it went well; a damaged queue is left alone
-- from then on. `tallies` has the tallies by the base of the queue, `damaged` is {{queue, why}...}.
local function turn_queues()
  local queues, broken = {tallies = {}, damaged = {}}, {}

  function queues.on(queue, part, ...)
    if broken[queue] then return false end
    local Q = '{' .. queue .. '}'
    local tally = queues.tallies[Q]
    if not tally then
      tally = {}
      queues.tallies[Q] = tally
    end
    local fine, why = pcall(part, Q, tally, ...)
    if fine then return true end
    broken[queue] = true
    queues.damaged[#queues.damaged + 1] = {queue, tostring(why)}
    return false
  end

  return queues
end
