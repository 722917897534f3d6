--- clock(given) -> integer milliseconds since the epoch
-- `given` as the caller sent it; absent, empty or 0 means the server's own TIME, so that no client's clock decides.
-- reads TIME, writes nothing
local function clock(given)
  local literal = tonumber(given)
  if literal and literal > 0 then
    return math.floor(literal)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
