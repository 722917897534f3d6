--- lease_words(lease) -> {id, payload, lock_until_ms, attempt, max_attempts, gid, lease_token, timeout_ms}
-- A lease as replies carry it: texts and whole numbers, gid '' for none.
-- reads nothing, writes nothing
local function lease_words(lease)
  return {
    lease.id, lease.payload, lease.lock_until_ms, lease.attempt, lease.max_attempts, lease.gid or '', lease.token, lease.timeout_ms,
  }
end
