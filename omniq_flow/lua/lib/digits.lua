--- digits(n) -> string
-- A whole number as plain decimal digits. Lua's own tostring turns to 1.7e+15 from 1e14 on.
-- reads nothing, writes nothing
local function digits(n)
  return string.format('%d', n)
end
