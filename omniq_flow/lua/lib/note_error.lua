--- @include "lib/cut"
--- @include "lib/digits"

--- note_error(fields, error, now) -> fields
-- Appends last_error (cut at 4096 bytes) and last_error_ms to a list of hash fields; without an error text, the last one noted stays.
-- reads nothing, writes nothing
local function note_error(fields, error, now)
  if error and error ~= '' then
    fields[#fields + 1] = 'last_error'
    fields[#fields + 1] = cut(error, 4096)
    fields[#fields + 1] = 'last_error_ms'
    fields[#fields + 1] = digits(now)
  end
  return fields
end
