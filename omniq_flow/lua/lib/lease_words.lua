--- @include "lib/digits"

--- lease_words(lease) -> {id, payload, lock_until_ms, attempt, max_attempts, gid, lease_token, timeout_ms}
-- A lease as replies carry it: texts only, gid '' for none.
-- reads nothing, writes nothing
local function lease_words(lease)
  return {
    lease.id, lease.payload, digits(lease.lock_until_ms), digits(lease.attempt), digits(lease.max_attempts), lease.gid or '', lease.token,
    digits(lease.timeout_ms),
  }
end
