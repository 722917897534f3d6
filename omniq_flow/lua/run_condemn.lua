#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"

--- Fail a run whose own keys are damaged: of a wrong kind, without what every run of ours holds, or with counters that do not say what its
-- outcomes say. A sound run is left alone.
-- Nothing of it begins any more, what is left of it expires with its term, and whoever waits for the result hears why.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:tries R:fails R:due R:out:<n> (hash), R:keys (set), R:list:<source> (list)
-- ARGV     now, outline (MessagePack: order = {n...} the plan's steps, waits = {[n] = {n...}} what each waits for, sizes = {[n] = source} its
--          fan-outs and the stored lists over which they go ('' for none), params = {n...}; {} when the plan is not known)
-- replies  {"CONDEMNED", why} | {"SOUND"} | {"OVER", status}: it had ended | {"GONE"} | {"LOST", why}: the head itself is damaged, nothing can
--          be written of the run
-- repeat   {"OVER", "failed"}
-- cost     about 10 commands, 4 a node and 2 an attempt in flight
local R, now, outline = anchor(KEYS[1]), clock(ARGV[1]), cmsgpack.unpack(ARGV[2])
local order = outline.order or {}

local function is(name, kind)
  local found = redis.call('TYPE', R .. ':' .. name)['ok']
  return found == kind or found == 'none'
end

local function fault_of_attempts()
  for k, text in ipairs(redis.call('HGETALL', R .. ':tries')) do
    if k % 2 == 0 and not string.match(text, '^%d+|%d+|%d+|%d+|[^|]*|%d+|[^|]*|%a*$') then return 'an attempt in R:tries cannot be read' end
  end
end

local function fault_of_due()
  for k, text in ipairs(redis.call('HGETALL', R .. ':due')) do
    if not string.match(text, k % 2 == 1 and '^%d+/%d+/%d+$' or '^%d+$') then return 'what is due in R:due cannot be read' end
  end
end

local function fault_of_nodes()
  for _, n in ipairs(order) do
    local got = redis.call('HMGET', R .. ':nodes', n .. ':left', n .. ':of', n .. ':open', n .. ':next', n .. ':tries')
    if not got[1] then return 'node ' .. n .. ' is missing in R:nodes' end
    for _, number in ipairs(got) do
      if number and not tonumber(number) then return 'node ' .. n .. ' has no numbers in R:nodes' end
    end
    if got[4] and not got[2] then return 'the size of node ' .. n .. ' is missing in R:nodes' end
    if got[4] and not got[3] then return 'the counter of node ' .. n .. ' is missing in R:nodes' end
    if got[3] and not got[4] then return 'how far fan-out ' .. n .. ' has come is missing in R:nodes' end
    if not is('out:' .. n, 'hash') then return 'R:out:' .. n .. ' is no hash' end
  end
end

local function fault_of_data()
  for _, n in ipairs(outline.params) do
    if redis.call('HEXISTS', R .. ':out', n) == 0 then return 'the value of an argument is missing in R:out' end
  end
  for n, source in pairs(outline.sizes) do
    local of = tonumber(redis.call('HGET', R .. ':nodes', n .. ':of'))
    if source ~= '' and of and redis.call('LLEN', R .. ':list:' .. source) ~= of then
      return 'elements for fan-out ' .. n .. ' are missing in R:list:' .. source
    end
  end
end

local function fault_of_counters()
  local complete, open = {}, #order
  for _, n in ipairs(order) do
    if outline.sizes[n] then
      local got = redis.call('HMGET', R .. ':nodes', n .. ':of', n .. ':open')
      local without = got[2] and tonumber(got[1]) - redis.call('HLEN', R .. ':out:' .. n)
      if got[2] and tonumber(got[2]) ~= without then
        return 'fan-out ' .. n .. ' counts ' .. got[2] .. ' open children in R:nodes, and ' .. without .. ' have no outcome'
      end
      complete[n] = without == 0
    else
      complete[n] = redis.call('HEXISTS', R .. ':out', n) == 1
    end
    if complete[n] then open = open - 1 end
  end
  for _, n in ipairs(order) do
    local left = 0
    for _, k in ipairs(outline.waits[n]) do
      if not complete[k] then left = left + 1 end
    end
    if tonumber(redis.call('HGET', R .. ':nodes', n .. ':left')) ~= left then
      return 'node ' .. n .. ' waits for another number of nodes in R:nodes than have no outcome'
    end
  end
  if tonumber(redis.call('HGET', R .. ':meta', 'open')) ~= open then return 'R:meta counts other open nodes than have no outcome' end
end

local function fault()
  for _, name in ipairs({'nodes', 'out', 'tries', 'fails', 'due'}) do
    if not is(name, 'hash') then return 'R:' .. name .. ' is no hash' end
  end
  if not is('keys', 'set') then return 'R:keys is no set' end
  for _, name in ipairs(redis.call('SMEMBERS', R .. ':keys')) do
    if not is(name, string.sub(name, 1, 5) == 'list:' and 'list' or 'hash') then return 'R:' .. name .. ' is of a wrong kind' end
  end
  local head = redis.call('HMGET', R .. ':meta', 'open', 'created_ms', 'updated_ms')
  if not tonumber(head[1]) then return 'R:meta has no count of open nodes' end
  if not (tonumber(head[2]) and tonumber(head[3])) then return 'R:meta has no times' end
  return fault_of_nodes() or fault_of_attempts() or fault_of_due() or outline.params and (fault_of_data() or fault_of_counters())
end

if not is('meta', 'hash') then return {'LOST', 'R:meta is no hash'} end
local head = redis.call('HMGET', R .. ':meta', 'status', 'keep_ms', 'plan', 'flow', 'queue')
if redis.call('EXISTS', R .. ':meta') == 0 then return {'GONE'} end
if not (head[1] and head[3] and head[4] and head[5] and tonumber(head[2])) then return {'LOST', 'R:meta is incomplete'} end
if head[1] ~= 'running' then return {'OVER', head[1]} end
local why = fault()
if not why then return {'SOUND'} end
why = string.gsub(why, 'R:', '{run}:')
-- Whoever shows the run asks when it began.
if not tonumber(redis.call('HGET', R .. ':meta', 'created_ms')) then redis.call('HSET', R .. ':meta', 'created_ms', digits(now)) end
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
for _, name in ipairs(names) do redis.call('PEXPIRE', R .. ':' .. name, digits(tonumber(head[2])), 'NX') end
return {'CONDEMNED', why}
