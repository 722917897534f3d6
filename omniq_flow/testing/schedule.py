"""A schedule as a value: which point goes next, and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

What: TypeAlias = Literal[
    "on", "let", "die", "die unheard", "late", "resend", "repeat", "expire", "stall", "wake", "ahead", "behind", "back", "begin", "tick"
]

HOUR_MS: Final = 3_600_000

_TOLD: Final[Mapping[What, str]] = {
    "on": "{n} points go, in the order in which they came",
    "let": "waiting point {n} goes",
    "die": "the actor of waiting point {n} dies before it",
    "die unheard": "waiting point {n} happens, and its actor dies before it hears of it",
    "late": "the actor of waiting point {n} dies, and its call arrives when all is over",
    "resend": "the reply to waiting point {n} is lost, and the call is sent again",
    "repeat": "call {n} of all that were sent arrives once more",
    "expire": "time passes until every lease has run out and every delay is over; the actors live on and do not know",
    "stall": "the actor of waiting point {n} is stopped, for longer than its lease",
    "wake": "stopped actor {n} goes on",
    "ahead": "the clock of the actor of waiting point {n} is an hour ahead from now on",
    "behind": "the clock of the actor of waiting point {n} is an hour behind from now on",
    "back": "the clock of the actor of waiting point {n} steps back at each look from now on",
    "begin": "another {role} begins",
    "tick": "{n} ms pass",
}

FAULTS: Final[Mapping[What, str]] = {
    "die": "its worker dies before a call",
    "die unheard": "its worker dies before it hears what came of a call or a step",
    "late": "its worker dies, and a call of it arrives when all is over",
    "resend": "a reply is lost and the call is sent again",
    "repeat": "a call arrives once more",
    "expire": "leases run out while it works",
    "stall": "its worker is stopped for longer than its lease",
    "ahead": "the clock of its worker is an hour ahead",
    "behind": "the clock of its worker is an hour behind",
    "back": "the clock of its worker steps back",
}
"""What may go wrong at a point, in words that follow *when*."""

ROLES: Final = ("worker", "janitor", "starter", "canceller")


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens in a world.

    ``n`` says which waiting point, call or stopped actor (counted from the oldest, modulo how many there are), how many points (``on``),
    which of ROLES (``begin``) or how many milliseconds (``tick``). Where there is none, nothing happens.
    """

    what: What
    n: int = 0

    def __str__(self) -> str:
        return _TOLD[self.what].format(n=self.n, role=ROLES[self.n % len(ROLES)])


@dataclass(frozen=True, slots=True)
class Schedule:
    """Moves in order; when they are over, all goes on without faults to its end."""

    moves: tuple[Move, ...] = ()

    def then(self, *moves: Move) -> Schedule:
        """Return the schedule that goes on with these moves."""
        return Schedule((*self.moves, *moves))

    def __len__(self) -> int:
        return len(self.moves)

    def __str__(self) -> str:
        return "; ".join(map(str, self.moves)) or "nothing goes wrong"
