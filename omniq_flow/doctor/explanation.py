"""What exactly a run waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Reason: TypeAlias = Literal[
    "leased",  # a worker works on it, until at least `until_ms` unless it tells more
    "lease over",  # its worker has not told of itself; it is tried again when the lease is reaped
    "delayed",  # the next attempt begins at `until_ms`
    "ready",  # it is in line, behind `ahead` others
    "group full",  # all places of its group are taken
    "paused",  # its queue is paused
    "unserved",  # no worker that is alive serves its queue
    "plan",  # no worker that serves its queue has the plan of the run
    "missing",  # it has no job: a janitor puts it back
    "given up",  # another client gave its job up: a janitor issues it again
    "not issued",  # the window of its fan-out is full, or a janitor has to hand it out
    "waiting",  # it waits for other nodes
]

EXAMPLES: Final = 3
DAY: Final = 86_400

_BECAUSE: Final[dict[Reason, str]] = {
    "leased": "leased by {by} until {until}, unless it renews the lease",
    "lease over": "its worker is lost, and its lease ran out; the next reaper of queue {queue} puts it back in line",
    "delayed": "delayed until {until}",
    "ready": "in line in queue {queue}{ahead}",
    "group full": "group {group} of queue {queue} has its limit of {limit} leases",
    "paused": "queue {queue} is paused, until somebody resumes it",
    "unserved": "no worker serves queue {queue}; start one: omniq-flow worker MODULE --queue {queue}",
    "plan": "no worker of queue {queue} has the plan of this run; start one with the code that the run began with",
    "missing": "there is no job for it in any queue; the janitor of a worker that has the flow puts it back",
    "given up": "another client of queue {queue} gave its job up; the janitor of a worker that has the flow issues it again",
    "not issued": "not in a queue yet: the window of the fan-out is full",
    "waiting": "waits for {nodes}",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Why some children of one node do not go on: all that wait for the same reason, in the same queue and group.

    ``children`` are a few examples (indexes), ``count`` is how many there are; of a node that is no fan-out there is one, with index 0.
    ``until_ms`` is the earliest moment at which something changes by itself, None where nothing does. ``worker`` is the one that holds the
    lease, as far as its name is known. ``nodes`` are those that a waiting node waits for.
    """

    node: str
    fan_out: bool
    reason: Reason
    count: int
    children: tuple[int, ...]
    queue: str = ""
    group: str = ""
    until_ms: int | None = None
    worker: str = ""
    ahead: int | None = None
    limit: int | None = None
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a run waits for at one look: nothing when it has ended. ``damage`` says what of its data is broken."""

    run: str
    flow: str
    status: str
    now_ms: int
    updated_ms: int
    waits: tuple[Wait, ...]
    damage: tuple[str, ...] = ()

    @property
    def moves(self) -> bool:
        """Whether something of it goes on without anybody's help: work in progress, in line, or due later."""
        return any(wait.reason in {"leased", "lease over", "delayed", "ready", "group full"} for wait in self.waits)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each thing that it waits for, what may go on first."""
        for damage in self.damage:
            yield f"its data on the server is damaged: {damage}; `omniq-flow doctor --repair` condemns it"
        if self.status != "running":
            yield f"it has {self.status}, and waits for nothing"
        for wait in self.waits:
            yield f"{subject(wait)}: {because(wait, self.now_ms)}"
        if self.status == "running" and not (self.waits or self.damage):
            yield "it waits for nothing that can be seen now; look again"


def subject(wait: Wait) -> str:
    """Return who waits: ``read: 7 children (0, 3, 4, ...)``."""
    if not wait.fan_out:
        return wait.node
    named = ", ".join(map(str, wait.children)) + (", ..." if wait.count > len(wait.children) else "")
    return f"{wait.node}, {wait.count} {'child' if wait.count == 1 else 'children'} ({named})" if wait.children else wait.node


def because(wait: Wait, now_ms: int) -> str:
    """Return why, and what changes it."""
    words = {
        "queue": wait.queue,
        "group": wait.group,
        "limit": wait.limit,
        "by": f"worker {wait.worker}" if wait.worker else "a worker",
        "until": later(wait.until_ms, now_ms),
        "ahead": f", behind {wait.ahead} other jobs" if wait.ahead else "",
        "nodes": _listed(wait.nodes),
    }
    return _BECAUSE[wait.reason].format(**words)


def later(moment_ms: int | None, now_ms: int) -> str:
    """Return a moment that is to come, with its distance: ``14:05:09, 12.5 s from now``."""
    if moment_ms is None:
        return "some time"
    seconds = max(0, moment_ms - now_ms) / 1000
    clock = time.strftime("%H:%M:%S" if seconds < DAY else "%Y-%m-%d %H:%M", time.localtime(moment_ms / 1000))
    for unit, size in (("d", DAY), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{clock}, {seconds / size:.0f} {unit} from now"
    return f"{clock}, {seconds:.1f} s from now"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
