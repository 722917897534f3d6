--- counter_read(C) -> open | nil, settled | nil
-- What is known under a completion key, for counter_open and child_ack: the counter that is open {count, owner, expected}, and the one that was
-- settled last {owner, expected, last}: by a child of ours, which left C:settled, or by a foreign client, which deletes the count and
-- leaves C:owner alone (then `last` is nil).
-- reads C:count (string) C:owner C:settled (hash), writes nothing; 3 commands
local function counter_read(C)
  local count = tonumber(redis.call('GET', C .. ':count'))
  local mine = redis.call('HMGET', C .. ':owner', 'owner', 'expected')
  local past = redis.call('HMGET', C .. ':settled', 'owner', 'expected', 'last')
  local owned = {count = count, owner = mine[1], expected = mine[2]}
  local settled = past[1] and {owner = past[1], expected = past[2], last = past[3]}
  if count then
    return owned, settled
  end
  return nil, settled or mine[1] and owned
end
