--- @include "lib/run_open"
--- @include "lib/run_close"
--- @include "lib/run_end"

--- The runs that one script works on: each is read once, changed in memory, and written once.
-- `with(id, part, ...)` calls part(run, ...) and returns what it returns: a word, and anything. It returns 'GONE' when the run is not there, and
-- 'BROKEN', why when one of the run's keys is of a wrong kind or holds what no script of ours wrote: from then on nothing more of that run is
-- touched, and the runs beside it go on. An error between writes is caught here, since the run that it leaves half written was damaged
-- before; the caller condemns it (run_condemn). `broken(id)` tells why, or nil. `still_with` is for what was said to be in order before another
-- part broke the run.
-- `write()` writes what was put and dropped of the runs, for what reads it in the same script; `close()` all that changed, and moves runs that
-- ended to the index of ended ones; one server only. Of a run that broke before `write()` nothing is written; of one that broke after
-- it, all that was changed: what was told of it is done.
--
-- keys:    R:meta (hash), and those of run_close and run_leave
local function run_desk(now)
  local desk, runs, broken, lost = {}, {}, {}, {}

  local function told(id, fine, word, more)
    if fine then return word, more end
    broken[id] = tostring(word)
    return 'BROKEN', broken[id]
  end

  local function visit(id, part, ...)
    local run = runs[id]
    if run == nil then
      run = run_open('{run:' .. id .. '}')
      runs[id] = run
    end
    if not run then return 'GONE' end
    return part(run, ...)
  end

  local function close(id, run)
    run_close(run, now)
    run_leave(run, id, now)
  end

  local function each(part)
    for id, run in pairs(runs) do
      if run and not lost[id] then told(id, pcall(part, id, run)) end
    end
  end

  function desk.with(id, part, ...)
    if broken[id] then return 'BROKEN', broken[id] end
    return told(id, pcall(visit, id, part, ...))
  end

  function desk.still_with(id, part, ...)
    return told(id, pcall(visit, id, part, ...))
  end

  function desk.broken(id)
    return broken[id]
  end

  function desk.write()
    for id in pairs(broken) do lost[id] = true end
    each(function(_, run) run_write(run) end)
  end

  function desk.close()
    each(close)
  end

  return desk
end
