"""All orders in which two workers and a janitor may be interleaved, up to a bound; and courses at random where there are too many."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec

from omniq_flow.runtime.flow import Flow
from omniq_flow.testing.home import home
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.moves import do, play
from omniq_flow.testing.schedule import ROLES, Move, Schedule, What
from omniq_flow.testing.shrinking import smallest
from omniq_flow.testing.verdict import Broken, End
from omniq_flow.testing.world import TURN_MS, World

P = ParamSpec("P")

WEIGHTS: Final[dict[What, int]] = {
    "let": 60,
    "die": 4,
    "die unheard": 4,
    "late": 2,
    "resend": 6,
    "repeat": 8,
    "expire": 3,
    "stall": 3,
    "wake": 3,
    "ahead": 1,
    "behind": 1,
    "back": 1,
    "begin": 6,
    "tick": 2,
}
MOVES: Final = 80
PROGRESS_S: Final = 1.0


@dataclass
class Exploration:
    """What came of an exploration.

    ``interleavings`` is how many different orders of points were covered: each ended right, or ``broken`` says how it did not. Orders that
    lead to equal worlds are played once from there on: ``worlds`` were different, ``played`` were played.
    """

    flow: str
    one_server: bool
    end: End
    interleavings: int = 0
    worlds: int = 0
    played: int = 0
    seconds: float = 0.0
    broken: list[Broken] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.broken

    def __str__(self) -> str:
        how = "one script a turn" if self.one_server else "slot by slot"
        head = f"{self.flow}, {how}: {self.interleavings} interleavings, {len(self.broken)} broke something"
        return head if self.passed else f"{head}\n{self.broken[0]}"


class Explorer:
    """Plays all interleavings of two workers and a janitor with at most ``preemptions`` switches away from one that could go on.

    The janitor finds a run that has not moved for a while, and so looks after it at once.
    """

    def __init__(
        self,
        new_world: Callable[[], World],
        *,
        preemptions: int,
        workers: int,
        progress: Callable[[Exploration], None] = lambda _found: None,
        limit: int = 5,
    ) -> None:
        self._new_world, self._preemptions, self._workers, self._limit = new_world, preemptions, workers, limit
        self._progress, self._told_at = progress, time.monotonic()
        self._known: dict[tuple[int, str, int], int] = {}

    def run(self) -> Exploration:
        """Explore."""
        began = time.monotonic()
        world = self._new_world()
        self.found = found = Exploration(world.stage.flow.name, world.stage.one_server, world.finish())
        world.close()
        opening = self._opening()
        found.interleavings = self._beyond(opening, self._played(opening), "", self._preemptions)
        found.worlds, found.seconds = len(self._known), time.monotonic() - began
        return found

    def _opening(self) -> Schedule:
        """Let the run be started, and all of them begin."""
        world = self._new_world()
        do(world, Move("begin", ROLES.index("starter")))
        points = 0
        while world.pending:
            world.let(0)
            points += 1
        world.close()
        roles = ["worker"] * self._workers + ["janitor"]
        begin = [Move("begin", ROLES.index(role)) for role in roles]
        return Schedule((Move("begin", ROLES.index("starter")), Move("on", points), Move("tick", TURN_MS), *begin))

    def _played(self, schedule: Schedule) -> World:
        self.found.played += 1
        self.found.worlds = len(self._known)
        if time.monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = time.monotonic()
            self._progress(self.found)
        world = self._new_world()
        play(world, schedule)
        return world

    def _beyond(self, schedule: Schedule, world: World, last: str, left: int) -> int:
        """Return how many interleavings there are from a world on, all of them covered."""
        try:
            if not world.advance():
                self._check(world)
                return 1
        except Broken as broken:
            self.found.broken.append(broken)
            return 1
        key = (world.identity, last, left)
        if key not in self._known:
            self._known[key] = self._branch(schedule, world, last, left)
        return self._known[key]

    def _branch(self, schedule: Schedule, world: World, last: str, left: int) -> int:
        waiting = [point.actor.name for point in world.pending]
        costs = [int(last in waiting and name != last) for name in waiting]
        choices = [n for n in range(len(waiting)) if costs[n] <= left]
        total = 0
        for n in reversed(choices):
            if len(self.found.broken) >= self._limit:
                break
            going = schedule.then(Move("let", n))
            try:
                # The world at hand goes on with the last choice; for the others it is played anew.
                branch = world if n == choices[0] else self._played(schedule)
                do(branch, Move("let", n))
            except Broken as broken:
                self.found.broken.append(broken)
                total += 1
                continue
            total += self._beyond(going, branch, waiting[n], left - costs[n])
            branch.close()
        return total

    def _check(self, world: World) -> None:
        end = world.stage.end()
        if end != self.found.end:
            raise world.stage.broken(f"the run ended as {end}, without faults it ends as {self.found.end}")


def explore(
    flow: Flow[P, Any],
    arguments: Sequence[Any] = (),
    *,
    memory: Memory | None = None,
    one_server: bool = True,
    preemptions: int = 2,
    workers: int = 2,
    concurrency: int = 2,
    counted: bool = False,
    before: Callable[[], None] = lambda: None,
    progress: Callable[[Exploration], None] = lambda _found: None,
) -> Exploration:
    """Play a flow in every order in which workers and a janitor may be interleaved, with at most so many ``preemptions``.

    A preemption is a switch away from an actor that could have gone on. For small flows: the number of orders grows with the power of the
    bound. The other arguments are those of ``enumerate_faults``.
    """
    place = memory or home()

    def new_world() -> World:
        before()
        return World(place, flow, arguments, one_server=one_server, concurrency=concurrency, counted=counted)

    return Explorer(new_world, preemptions=preemptions, workers=workers, progress=progress).run()


def explore_at_random(
    flow: Flow[P, Any],
    arguments: Sequence[Any] = (),
    *,
    memory: Memory | None = None,
    one_server: bool = True,
    courses: int = 100,
    seed: int = 0,
    moves: int = MOVES,
    concurrency: int = 2,
    before: Callable[[], None] = lambda: None,
) -> Exploration:
    """Play courses of a flow at random, with faults; what breaks one comes as its smallest story.

    The same ``seed`` gives the same courses. The other arguments are those of ``enumerate_faults``.
    """
    place = memory or home()

    def new_world() -> World:
        before()
        return World(place, flow, arguments, one_server=one_server, concurrency=concurrency)

    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311  # a seed is to give the same courses
    world = new_world()
    found = Exploration(flow.name, one_server, world.finish())
    world.close()
    while found.played < courses and not found.broken:
        drawn = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=chance.randint(1, moves))
        schedule = Schedule(tuple(Move(what, chance.randrange(64)) for what in drawn))
        found.played += 1
        if trouble(new_world, schedule, found.end):
            found.broken.append(smallest(lambda given: trouble(new_world, given, found.end), schedule))
    found.interleavings, found.seconds = found.played, time.monotonic() - began
    return found


def trouble(new_world: Callable[[], World], schedule: Schedule, expected: End) -> Broken | None:
    """Play a schedule to its end and return what it broke; None when the run ended as expected."""
    world = new_world()
    try:
        play(world, schedule)
        end = world.finish()
        if end != expected:
            raise world.stage.broken(f"the run ended as {end}, without faults it ends as {expected}")
    except Broken as broken:
        return broken
    finally:
        world.close()
    return None
