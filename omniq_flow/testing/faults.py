"""What may happen to a command on its way through a proxy, and who decides it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Command: TypeAlias = "tuple[bytes, ...]"

REFUSALS: Final[Mapping[str, str]] = {
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "READONLY": "READONLY You can't write against a read only replica.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
}
"""What servers answer in times that pass, by the first word, in the servers' own words."""


@dataclass(frozen=True)
class Cut:
    """The connection breaks before the command is delivered."""


@dataclass(frozen=True)
class LoseReply:
    """The command is delivered and run; the connection breaks before its reply."""


@dataclass(frozen=True)
class Stall:
    """The command may be delivered or not; the connection stays open and mute for good (half open), as when a route is gone."""

    delivered: bool = True


@dataclass(frozen=True)
class Answer:
    """The command is not delivered; the server answers with a refusal of ``REFUSALS`` in its place."""

    word: str

    def __post_init__(self) -> None:
        """Refuse words that no server says."""
        if self.word not in REFUSALS:
            raise ValueError(f"no server answers {self.word!r} here; known are {', '.join(REFUSALS)}")


@dataclass(frozen=True)
class Delay:
    """The reply comes so many seconds late, and what follows it on its connection too."""

    seconds: float


@dataclass(frozen=True)
class Throttle:
    """The reply trickles in at so many bytes a second."""

    bytes_per_second: int


Fault: TypeAlias = Cut | LoseReply | Stall | Answer | Delay | Throttle
Decision: TypeAlias = Callable[[Command], Fault | None]
"""Says what happens to a command; None: nothing. It is called on the proxy's thread, for one command at a time."""


def nothing(_command: Command) -> None:
    """Let everything pass."""


def always(fault: Fault) -> Decision:
    """Let the same happen to every command."""
    return lambda _command: fault


def in_order(faults: Iterable[Fault | None]) -> Decision:
    """Let one after the other happen to the commands as they come, then nothing more."""
    rest = iter(faults)
    return lambda _command: next(rest, None)


def at_random(seed: int, odds: Mapping[Fault, float]) -> Decision:
    """Let each fault happen with its odds (0 to 1 for each command). The same seed decides the same for the same series of commands."""
    chance = random.Random(seed)  # noqa: S311  # a plan that can be repeated, no secret
    faults, weights = [*odds, None], [*odds.values(), 1 - sum(odds.values())]
    return lambda _command: chance.choices(faults, weights)[0]


def only_scripts(decide: Decision) -> Decision:
    """Leave alone what sets a connection up and what listens: only calls of scripts meet faults."""
    return lambda command: decide(command) if command[0].upper() in {b"EVALSHA", b"EVAL"} else None
