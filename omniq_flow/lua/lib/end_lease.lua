--- @include "lib/digits"

--- end_lease(Q, lease, state, now, reply, fields, tally) -> reply
-- What all ends of a lease have in common: writes state, `fields` (pairs) and the cleared lock into the job, remembers the spent token with its
-- reply words, and leaves Q:active. A lease without token is one that ran out: nobody spent it, nothing is remembered. The caller
-- enters the next lane and then settles the group. `reply` is a list of words without spaces.
-- writes Q:job:<id> Q:active Q:idx:active; 3 commands
local function end_lease(Q, lease, state, now, reply, fields, tally)
  local set = {
    'HSET', Q .. ':job:' .. lease.id, 'state', state, 'updated_ms', digits(now), 'lock_until_ms', '', 'lease_token', '',
  }
  if lease.token then
    set[#set + 1] = 'spent'
    set[#set + 1] = lease.token .. ' ' .. table.concat(reply, ' ')
  end
  for _, item in ipairs(fields) do
    set[#set + 1] = item
  end
  redis.call(unpack(set))
  redis.call('ZREM', Q .. ':active', lease.id)
  redis.call('ZREM', Q .. ':idx:active', lease.id)
  tally.active = true
  return reply
end
