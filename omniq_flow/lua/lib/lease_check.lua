--- lease_check(Q, id, token, repeats) -> refusal, lease
-- refusal is nil when the job is leased under this token; then `lease` (id, key, token, gid, attempt, max_attempts, timeout_ms, backoff_ms)
-- is what the parts that end a lease take. Otherwise refusal is the reply to give: the first reply once more when this token was
-- spent and that reply began with a word of the set `repeats` (so it is this very operation that comes again; nil: whatever it
-- was), else {'ERR', TOKEN_REQUIRED | NOT_ACTIVE | TOKEN_MISMATCH}.
-- reads Q:job:<id>, writes nothing; 1 command
local function lease_check(Q, id, token, repeats)
  if not token or token == '' then
    return {'ERR', 'TOKEN_REQUIRED'}
  end
  local key = Q .. ':job:' .. id
  local job = redis.call(
    'HMGET', key, 'state', 'lease_token', 'spent', 'gid', 'attempt', 'max_attempts', 'timeout_ms', 'backoff_ms')
  local spent = job[3]
  if spent and string.sub(spent, 1, #token + 1) == token .. ' ' then
    local words = {}
    for word in string.gmatch(string.sub(spent, #token + 2), '%S+') do
      words[#words + 1] = word
    end
    if not repeats or repeats[words[1]] then
      return words
    end
  end
  if job[1] ~= 'active' then
    return {'ERR', 'NOT_ACTIVE'}
  end
  if job[2] ~= token then
    return {'ERR', 'TOKEN_MISMATCH'}
  end
  return nil, {
    id = id, key = key, token = token, gid = job[4] ~= '' and job[4], attempt = tonumber(job[5]) or 0, max_attempts = tonumber(job[6]) or 1,
    timeout_ms = tonumber(job[7]) or 0, backoff_ms = tonumber(job[8]) or 0,
  }
end
