--- cut(text, limit) -> text of at most `limit` bytes
-- Ends at a character's border: fields that foreign clients read must stay valid UTF-8.
-- reads nothing, writes nothing
local function cut(text, limit)
  if #text <= limit then
    return text
  end
  local last = limit
  while last > 0 do
    local following = string.byte(text, last + 1)
    if following < 128 or following >= 192 then
      break
    end
    last = last - 1
  end
  return string.sub(text, 1, last)
end
