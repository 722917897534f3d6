--- anchor(key) -> Q
-- The base of a queue or counter, of which every other key is derived: the anchor key without its ":meta".
-- reads nothing, writes nothing
local function anchor(key)
  return string.sub(key, 1, -6)
end
