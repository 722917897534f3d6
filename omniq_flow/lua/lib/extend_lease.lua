--- @include "lib/digits"
--- @include "lib/lease_check"

--- extend_lease(Q, id, token, now, lease_ms) -> refusal, lock_until_ms
-- Moves a lease's end to now + lease_ms, or now + its own timeout_ms when 0: never added to the old end, so a crash is noticed in time.
-- refusal is lease_check's (a spent token holds no lease, whatever it was spent on); then nothing is written.
-- reads and writes Q:job:<id>, writes Q:active; 3 commands
local function extend_lease(Q, id, token, now, lease_ms)
  local refusal, lease = lease_check(Q, id, token, {})
  if refusal then
    return refusal
  end
  local lock = now + (lease_ms > 0 and lease_ms or lease.timeout_ms)
  redis.call('HSET', Q .. ':job:' .. id, 'lock_until_ms', digits(lock), 'updated_ms', digits(now))
  redis.call('ZADD', Q .. ':active', digits(lock), id)
  return nil, lock
end
