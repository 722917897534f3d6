--- counter_open(owner, expected, open, settled) -> 'OPEN' | 'SAME' | 'TAKEN'
-- The rule by which a fan-in counter is opened, wherever it is stored. `open` and `settled` are the counter that is open and the one that was
-- settled last under this key, each {owner =, expected =} or nil. OPEN: the caller stores a new one. SAME: a replay by the same owner, open or
-- settled. TAKEN: open under another owner, or the same owner came with another count.
-- reads nothing, writes nothing
local function counter_open(owner, expected, open, settled)
  local mine = settled and settled.owner == owner and settled or open and open.owner == owner and open
  if mine then
    return mine.expected == expected and 'SAME' or 'TAKEN'
  end
  return open and 'TAKEN' or 'OPEN'
end
