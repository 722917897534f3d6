--- replay_get(Q, client, seq) -> 'NEW' | 'SAME', reply | 'STALE'
-- Has this call been made before? `client` names one caller whose calls carry growing numbers `seq`; SAME brings back what replay_put kept for
-- this very call, STALE means that the caller has moved on: do nothing. Without a client ('') every call is NEW.
-- reads Q:sent:<client>, writes nothing; 1 command
local function replay_get(Q, client, seq)
  if not client or client == '' then
    return 'NEW'
  end
  local kept = redis.call('GET', Q .. ':sent:' .. client)
  if not kept then
    return 'NEW'
  end
  local last = cmsgpack.unpack(kept)
  if seq == last[1] then
    return 'SAME', last[2]
  end
  return seq < last[1] and 'STALE' or 'NEW'
end
