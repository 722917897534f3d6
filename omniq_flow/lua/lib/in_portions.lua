--- in_portions(command, key, items) -> sum of the replies
-- Gives one command all items, a thousand at a time (Lua unpacks no more at once); nothing for none. Pairs stay together. For commands that
-- answer with a number.
-- writes what the command writes; 1 command for up to 1,000 items
local function in_portions(command, key, items)
  local sum = 0
  for from = 1, #items, 1000 do
    sum = sum + redis.call(command, key, unpack(items, from, math.min(from + 999, #items)))
  end
  return sum
end
