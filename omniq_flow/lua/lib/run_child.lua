--- @include "lib/run_open"
--- @include "lib/run_tries"
--- @include "lib/run_outcome"

--- Read what a run holds of a child (or of a single node, its child 0), once per script.
-- An outcome takes the attempts away when it is recorded, in one script: a child of which attempts are known has none.
--
-- i:       its digits (or a number)
-- keys:    R:out, R:out:<n>, R:tries (hash)
-- returns: {place = '<n>/<i>', done: its outcome is there, tries = attempts as lib/run_tries has them}
-- cost:    1-2 commands the first time, none after
local function run_child(run, node, i)
  local place = node.places .. i
  local child = run.children[place]
  if child then return child end
  local text = redis.call('HGET', run.tries, place)
  child = {place = place, done = not text and run_has_outcome(run, node, i), tries = tries_of(text)}
  run.children[place] = child
  return child
end

--- Note what changed of a child's attempts; run_close writes it.
local function run_tried(run, child)
  run_put(run, 'tries', child.place, tries_text(child.tries))
end
