--- Read elements of a stored list, or results of a fan-out, from one on: as many as are small together.
-- Elements may have 2 MB each, so how many are read at once follows from those that were read before: at most three times as many.
--
-- list:    key of a list, or nil; then the results of fan-out n
-- keys:    R:out:<n> (hash), R:list:<source> (list)
-- returns: {bytes | false...}, their bytes in all; stops at `to`, or once there are `budget` bytes or more
-- cost:    1-6 commands for up to 500 small elements
local function run_slice(R, list, n, from, to, budget)
  local items, size, bytes, step = {}, 0, 0, 8
  while from < to and bytes < budget do
    local upto = math.min(to, from + step)
    local part
    if list then
      part = redis.call('LRANGE', list, from, upto - 1)
    else
      local indices = {}
      for i = from, upto - 1 do indices[#indices + 1] = i end
      part = redis.call('HMGET', R .. ':out:' .. n, unpack(indices))
    end
    if #part == 0 then break end
    for k = 1, #part do
      local item = part[k]
      items[size + k] = item
      bytes = bytes + (item and #item or 0)
    end
    size = size + #part
    from = upto
    step = math.max(1, math.min(250, 3 * size, math.floor((budget - bytes) / (bytes / size + 1))))
  end
  return items, bytes
end
