--- counter_settle(remaining, counted) -> 'COUNTED', n | 'LAST', 0 | 'AGAIN', n | 'NONE'
-- The rule by which a child is taken off a fan-in counter, wherever it is stored. `remaining` is the number of children still open (nil: no
-- counter), `counted` whether this child was taken off before (a member of a set, a recorded result, a bit). COUNTED: the caller
-- notes the child and stores n. LAST: it was the last, the caller settles the counter in the same script. AGAIN: nothing to do.
-- reads nothing, writes nothing
local function counter_settle(remaining, counted)
  if not remaining then
    return 'NONE'
  end
  if counted then
    return 'AGAIN', remaining
  end
  if remaining > 1 then
    return 'COUNTED', remaining - 1
  end
  return 'LAST', 0
end
