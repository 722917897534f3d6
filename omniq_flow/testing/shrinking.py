"""Makes a schedule that breaks something as small as it can be and still break something."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from omniq_flow.testing.schedule import Move, Schedule
from omniq_flow.testing.verdict import Broken


def smallest(trouble: Callable[[Schedule], Broken | None], schedule: Schedule) -> Broken:
    """Return what the smallest schedule breaks that is found by leaving out moves and lowering their numbers.

    ``trouble`` plays a schedule and returns what it broke. Raises ValueError when the schedule breaks nothing.
    """
    broken = trouble(schedule)
    if broken is None:
        raise ValueError(f"nothing breaks when {schedule}")
    again = True
    while again:
        again = False
        for simpler in _simpler(schedule):
            found = trouble(simpler)
            if found is not None:
                schedule, broken, again = simpler, found, True
                break
    return broken


def _simpler(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules with fewer moves, many fewer first, then those with lower numbers."""
    moves = schedule.moves
    size = len(moves)
    while size:
        for at in range(0, len(moves), size):
            yield Schedule(moves[:at] + moves[at + size :])
        size //= 2
    for at, move in enumerate(moves):
        if move.n:
            for lower in sorted({0, move.n // 2, move.n - 1}):
                yield Schedule((*moves[:at], Move(move.what, lower), *moves[at + 1 :]))
