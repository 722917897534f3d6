"""How a worker works: what its command line and `worker(...)` take."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from omniq_flow.errors import InputError
from omniq_flow.wire.names import check_name, check_number, shown
from omniq_flow.wire.seconds import DAY, check_seconds


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works. Times are in seconds.

    ``concurrency`` is how many attempts run at once, ``queues`` which queues are served (those of the flows when empty), ``lease`` how
    long a silent worker is believed alive, ``janitor`` the pause between two looks at runs that do not move, ``burst`` whether to leave
    when nothing is left, ``drain`` how long running attempts may go on after a stop was asked for.
    """

    concurrency: int = 64
    queues: Sequence[str] = ()
    lease: float = 30.0
    janitor: float = 10.0
    burst: bool = False
    drain: float = 30.0
    modules: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_number(self.concurrency, "concurrency", 1, 100_000)
        check_seconds(self.lease, "lease", 0.1, DAY)
        check_seconds(self.janitor, "janitor", 0.05, DAY)
        check_seconds(self.drain, "drain", 0, DAY)
        for name in ("queues", "modules"):
            names: object = getattr(self, name)
            if isinstance(names, str | bytes) or not isinstance(names, Collection):
                way_out = f": [{shown(names)}]" if isinstance(names, str) else ""
                raise InputError(f"{name} must be a list of names, not {shown(names)}{way_out}")
        for queue in self.queues:
            check_name(queue, "queue")
        if not isinstance(self.burst, bool):
            raise InputError(f"burst must be True or False, not {shown(self.burst)}")
