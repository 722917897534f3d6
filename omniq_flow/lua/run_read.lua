#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/run_part"

--- Read an outcome, or the next of its elements.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:nodes R:out R:out:<n> (hash), R:list:<source> (list)
-- ARGV     word (`v<k>` outcome of node k, `m<k>` results of fan-out k, `x<source>` a stored list, `e<k>` as m), first element
-- replies  {"VALUE", bytes} | {"ITEMS", count, {bytes | false...}} from the first on, at most 500 and, but for the last of them, a megabyte
--          | {"NONE"}: not there (yet)
-- repeat   read only
-- cost     3-10 commands
return (run_part(anchor(KEYS[1]), ARGV[1], tonumber(ARGV[2]), 1024 * 1024))
