--- digits(n) -> string
-- A whole number as plain decimal digits. Lua's own tostring turns to 1.7e+15 from 1e14 on.
-- A script asks for few different ones, the time above all, and each is worked out once.
-- reads nothing, writes nothing
local known = {}
local function digits(n)
  local text = known[n]
  if not text then
    text = string.format('%d', n)
    known[n] = text
  end
  return text
end
