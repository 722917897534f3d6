--- @include "lib/digits"

--- Read and write what is known of the attempts of one (node, index).
-- Stored as `epoch|attempts|errors|crashes|token|began_ms|spent|state` in R:tries under `<n>/<i>`; absent means never begun. `token` is the
-- lease of the attempt that is running, `spent` the lease whose end was recorded last, `state` is empty, `failed`, or `suspect`: a worker died
-- under it, and none of its attempts has come to an end since.
--
-- keys:    R:tries (hash)
-- cost:    1 command to read
local function tries_of(text)
  if not text then
    return {epoch = 0, attempts = 0, errors = 0, crashes = 0, token = '', began = '0', spent = '', state = ''}
  end
  local epoch, attempts, errors, crashes, token, began, spent, state =
    string.match(text, '^(%d+)|(%d+)|(%d+)|(%d+)|([^|]*)|(%d+)|([^|]*)|(%a*)$')
  return {
    epoch = tonumber(epoch), attempts = tonumber(attempts), errors = tonumber(errors), crashes = tonumber(crashes),
    token = token, began = began, spent = spent, state = state,
  }
end

local function tries_read(R, place)
  return tries_of(redis.call('HGET', R .. ':tries', place))
end

local function tries_text(t)
  -- A script that begins many children does this for each: string.format takes three times as long.
  return digits(t.epoch) .. '|' .. digits(t.attempts) .. '|' .. digits(t.errors) .. '|' .. digits(t.crashes) .. '|' .. t.token .. '|' .. t.began
    .. '|' .. t.spent .. '|' .. t.state
end
