--- @include "lib/run_open"
--- @include "lib/run_tries"
--- @include "lib/run_outcome"

--- Read what a run holds of a child (or of a single node, its child 0), once per script.
--
-- i:       a number, or its digits
-- keys:    R:out, R:out:<n>, R:tries (hash)
-- returns: {place = '<n>/<i>', done: its outcome is there, tries = attempts as lib/run_tries has them, false when it is
--          done}
-- cost:    2 commands the first time, none after
local function run_child(run, node, i)
  local place = node.places .. i
  local child = run.children[place]
  if child then return child end
  local done = run_has_outcome(run, node, i)
  child = {place = place, done = done, tries = not done and tries_read(run.R, place)}
  run.children[place] = child
  return child
end

--- Note what changed of a child's attempts; run_close writes it.
local function run_tried(run, child)
  run_put(run, 'tries', child.place, tries_text(child.tries))
end
