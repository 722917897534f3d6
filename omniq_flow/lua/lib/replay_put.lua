--- replay_put(Q, client, seq, reply)
-- Keeps the reply (a table of strings and numbers) of a caller's last call for 5 minutes, see replay_get. Do not call it when the call
-- changed nothing: then a repeat may as well look again.
-- writes Q:sent:<client>; 1 command
local function replay_put(Q, client, seq, reply)
  if client and client ~= '' then
    redis.call('SET', Q .. ':sent:' .. client, cmsgpack.pack({seq, reply}), 'PX', '300000')
  end
end
