--- @include "lib/digits"

--- sent_before(Q, client, seq) -> boolean
-- Has this client's call number `seq` been made before? One bit a call, kept for 10 minutes after the last call of its 4,096, whatever became of
-- the call's work meanwhile: for work that finishes and is forgotten faster than a lost reply is noticed. Notes the call.
-- Without a client ('') every call is new.
-- reads and writes Q:calls:<client>:<seq div 4096> (string, bits); 2 commands
local function sent_before(Q, client, seq)
  if client == '' then
    return false
  end
  local key = Q .. ':calls:' .. client .. ':' .. digits(math.floor(seq / 4096))
  if redis.call('SETBIT', key, digits(seq % 4096), '1') == 1 then
    return true
  end
  redis.call('PEXPIRE', key, '600000')
  return false
end
