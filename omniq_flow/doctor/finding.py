"""What is wrong, where, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong; whatever does not apply is empty. ``child`` is ``<node>`` or ``<node>/<index>`` of a run."""

    queue: str = ""
    job: str = ""
    group: str = ""
    run: str = ""
    child: str = ""
    key: str = ""
    server: str = ""

    def __str__(self) -> str:
        named = [(name, getattr(self, name)) for name in ("queue", "group", "job", "run", "child", "key", "server")]
        return ", ".join(f"{name} {value}" for name, value in named if value)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a store may be wrong.

    ``name`` is for programs and never changes, ``invariant`` is what does not hold, ``matters`` is what follows while it stays so,
    ``remedy`` what a repair does about it: empty where it passes by itself, or only somebody else can help. A fault that is not ``grave``
    harms nothing: clients of other makes may leave such a state, and every client clears it away in passing.
    """

    name: str
    invariant: str
    matters: str
    remedy: str = ""
    grave: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that was found: which one, where, and the facts of this case in ``what``.

    ``lines`` are the groups in whose lines a job stands that need not stand there.
    """

    fault: Fault
    place: Place
    what: str
    lines: tuple[str, ...] = ()

    @property
    def repairable(self) -> bool:
        """Whether a repair can mend it."""
        return bool(self.fault.remedy)

    def __str__(self) -> str:
        return f"{self.place}: {self.what} ({self.fault.name}: {self.fault.invariant})"


Findings: TypeAlias = Iterator[Finding]
