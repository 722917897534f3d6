"""What can be wrong with a server itself. None of it can be mended from here: it is the operator's to decide."""

from __future__ import annotations

from typing import Final

from omniq_flow.doctor.finding import Fault

WHOLE: Final = "the server keeps what it has acknowledged"
REACHABLE: Final = "every slot is served by one node that takes writes"

EVICTION: Final = Fault(
    "eviction", WHOLE, "keys of queues and runs are dropped when memory is full: CONFIG SET maxmemory-policy noeviction"
)
NO_PERSISTENCE: Final = Fault(
    "no-persistence", WHOLE, "a restart loses everything: CONFIG SET appendonly yes, and CONFIG REWRITE", grave=False
)
FAILED_WRITES: Final = Fault(
    "failed-writes", WHOLE, "what is acknowledged now does not survive a restart: see the server's log, and its disk"
)
LOCKED_DEFAULT: Final = Fault(
    "locked-default-user",
    WHOLE,
    "at a restart the log is replayed as the default user, and what scripts wrote is refused: ACL SETUSER default off ~* &* +@all",
)
OLD_SERVER: Final = Fault("old-server", WHOLE, "this release has faults that were mended since: update it", grave=False)
REPLICA: Final = Fault("replica", REACHABLE, "it takes no writes: connect to its primary")
NEARLY_FULL: Final = Fault("nearly-full", WHOLE, "new runs and jobs are refused once it is full: raise maxmemory", grave=False)
OPEN_SLOT: Final = Fault(
    "open-slot",
    REACHABLE,
    "the slot is moved key by key, and scripts on a queue or a run in it are refused until it is over: end it with "
    "CLUSTER SETSLOT or `--cluster fix`; move slots whole where the server can (CLUSTER MIGRATESLOTS)",
)
DOWN: Final = Fault("cluster-down", REACHABLE, "some queues and runs cannot be reached: see CLUSTER NODES")
UNTOLD: Final = Fault("untold", WHOLE, "it could not be checked: the user may not ask for it", grave=False)
