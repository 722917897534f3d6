#!lua flags=allow-oom
--- @include "lib/anchor"

--- Drop what was staged for a start that was refused, or that found its run there.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:stage:<token>:<source> (list)
-- ARGV     token, source...
-- replies  {"OK", n}: n lists were there
-- repeat   {"OK", 0}
-- cost     1 command a list
local n = 0
for k = 2, #ARGV do n = n + redis.call('UNLINK', anchor(KEYS[1]) .. ':stage:' .. ARGV[1] .. ':' .. ARGV[k]) end
return {'OK', n}
