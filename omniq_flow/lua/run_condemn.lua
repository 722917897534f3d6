#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Fail a run whose own keys are damaged: of a wrong kind, or without what every run of ours holds. A sound run is left alone.
-- Nothing of it begins any more, what is left of it expires with its term, and whoever waits for the result hears why.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:tries R:fails R:due R:out:<n> (hash), R:keys (set), R:list:<source> (list)
-- ARGV     now, order (MessagePack array of the plan's nodes)
-- replies  {"CONDEMNED", why} | {"SOUND"} | {"OVER", status}: it had ended | {"GONE"} | {"LOST", why}: the head itself is damaged, nothing can
--          be written of the run
-- repeat   {"OVER", "failed"}
-- cost     about 10 commands, 1 a node and 2 an attempt in flight
local R, now, order = anchor(KEYS[1]), clock(ARGV[1]), cmsgpack.unpack(ARGV[2])

local function is(name, kind)
  local found = redis.call('TYPE', R .. ':' .. name)['ok']
  return found == kind or found == 'none'
end

local function fault_of_attempts()
  for k, text in ipairs(redis.call('HGETALL', R .. ':tries')) do
    if k % 2 == 0 and not string.match(text, '^%d+|%d+|%d+|%d+|[^|]*|%d+|[^|]*|%a*$') then return 'an attempt in R:tries cannot be read' end
  end
end

local function fault_of_nodes()
  for _, n in ipairs(order) do
    local got = redis.call('HMGET', R .. ':nodes', n .. ':left', n .. ':of', n .. ':open', n .. ':next', n .. ':tries')
    if not got[1] then return 'node ' .. n .. ' is missing in R:nodes' end
    for _, number in ipairs(got) do
      if number and not tonumber(number) then return 'node ' .. n .. ' has no numbers in R:nodes' end
    end
    if got[4] and not got[3] then return 'the counter of node ' .. n .. ' is missing in R:nodes' end
    if not is('out:' .. n, 'hash') then return 'R:out:' .. n .. ' is no hash' end
  end
end

local function fault()
  for _, name in ipairs({'nodes', 'out', 'tries', 'fails', 'due'}) do
    if not is(name, 'hash') then return 'R:' .. name .. ' is no hash' end
  end
  if not is('keys', 'set') then return 'R:keys is no set' end
  for _, name in ipairs(redis.call('SMEMBERS', R .. ':keys')) do
    if not is(name, string.sub(name, 1, 5) == 'list:' and 'list' or 'hash') then return 'R:' .. name .. ' is of a wrong kind' end
  end
  return fault_of_nodes() or fault_of_attempts()
end

if not is('meta', 'hash') then return {'LOST', 'R:meta is no hash'} end
local head = redis.call('HMGET', R .. ':meta', 'status', 'open', 'keep_ms', 'plan', 'flow', 'queue')
if redis.call('EXISTS', R .. ':meta') == 0 then return {'GONE'} end
if not (head[1] and head[4] and head[5] and head[6] and tonumber(head[3] or '')) then return {'LOST', 'R:meta is incomplete'} end
if head[1] ~= 'running' then return {'OVER', head[1]} end
local why = fault() or not tonumber(head[2] or '') and 'R:meta has no count of open nodes'
if not why then return {'SOUND'} end
why = string.gsub(why, 'R:', '{run}:')
redis.call('HSET', R .. ':meta', 'status', 'failed', 'ended_ms', digits(now), 'updated_ms', digits(now), 'damaged', why)
redis.call('PUBLISH', R .. ':ended', 'failed')
local names = {'meta', 'nodes', 'out', 'tries', 'fails', 'due', 'keys'}
for _, n in ipairs(order) do
  names[#names + 1] = 'out:' .. n
  names[#names + 1] = 'list:' .. n
  local inputs = redis.pcall('HGET', R .. ':nodes', n .. ':inputs')
  for source in string.gmatch(type(inputs) == 'string' and inputs or '', '%a(%S+)') do names[#names + 1] = 'list:' .. source end
end
if is('keys', 'set') then
  for _, name in ipairs(redis.call('SMEMBERS', R .. ':keys')) do names[#names + 1] = name end
end
for _, name in ipairs(names) do redis.call('PEXPIRE', R .. ':' .. name, digits(tonumber(head[3])), 'NX') end
return {'CONDEMNED', why}
