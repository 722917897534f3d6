"""Every fault at every point of a flow's course: not sampled, all of them, alone or in pairs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, ParamSpec

from omniq_flow.runtime.flow import Flow
from omniq_flow.testing.home import home
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.moves import play
from omniq_flow.testing.points import Point
from omniq_flow.testing.schedule import FAULTS, Move, Schedule, What
from omniq_flow.testing.verdict import Broken, End, Ran, child_name
from omniq_flow.testing.world import World

P = ParamSpec("P")

ALONE: Final[tuple[What, ...]] = (
    "die",
    "die unheard",
    "late",
    "resend",
    "repeat",
    "expire",
    "stall",
    "ahead",
    "behind",
    "back",
)
"""The faults that are tried at each point."""

CLOCKS: Final = frozenset({"ahead", "behind", "back"})
PROGRESS_S = 1.0


@dataclass
class Report:
    """What came of an enumeration.

    ``points`` is the length of the faultless course, ``tried`` how many faults were tried at all of them together (of pairs: how many
    pairs), by fault in ``by_fault``. ``broken`` holds what did not hold, the smallest story first: none is what everybody hopes for.
    ``again`` tells of each step's child under which fault it ran more often than without, with the smallest schedule that shows it.
    ``worlds`` were played, the others were seen to be equal to one of those; ``states`` of the store were seen, ``asked`` calls answered
    by the server.
    """

    flow: str
    one_server: bool
    depth: int
    end: End
    points: int = 0
    tried: int = 0
    by_fault: Counter[str] = field(default_factory=Counter)
    worlds: int = 0
    states: int = 0
    asked: int = 0
    seconds: float = 0.0
    broken: list[Broken] = field(default_factory=list)
    again: dict[tuple[str, int | None], dict[What, Schedule]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.broken

    @property
    def ran_again(self) -> list[str]:
        """A line for each step or child that ran more often under a fault than without: which one, and under which faults."""
        return [
            f"{child_name(step, child)} runs again when {'; when '.join(FAULTS[fault] for fault in sorted(under))}"
            for (step, child), under in sorted(self.again.items(), key=str)
        ]

    def __str__(self) -> str:
        how = "one script a turn" if self.one_server else "slot by slot"
        what = {1: "faults", 2: "pairs of faults"}[self.depth]
        head = f"{self.flow}, {how}: {self.points} points, {self.tried} {what} tried, {len(self.broken)} broke something"
        return head if self.passed else f"{head}\n{self.broken[0]}"


class _Child(NamedTuple):
    """A world to look into: how to come to it, what went wrong last, and what is known of it before it is played.

    ``identity`` is the number that it will have, if that can be told; ``nothing`` says that the fault has changed nothing at all, ``plain``
    is the number of the world without it. ``ran`` are the steps that ran before.
    """

    schedule: Schedule
    fault: What
    plain: int
    identity: int | None = None
    nothing: bool = False
    ran: tuple[Ran, ...] = ()


class _Stop(NamedTuple):
    """A point of a course: the world's number there, what may go wrong, and how many steps ran before."""

    identity: int
    children: list[_Child]
    ran: int


class Enumeration:
    """Plays a flow's course, and from each of its points on all that may go wrong there.

    Worlds of equal number have equal futures, so what was played from one of them on is not played again; unless ``after`` is given, which
    is called at the end of every course, and sees what steps have done outside.
    """

    def __init__(
        self,
        new_world: Callable[[], World],
        *,
        faults: Sequence[What] = ALONE,
        every: int = 1,
        after: Callable[[], None] | None = None,
        progress: Callable[[Report], None] = lambda _report: None,
        limit: int = 5,
    ) -> None:
        self._new_world, self._faults, self._every, self._after = new_world, faults, every, after
        self._progress, self._limit = progress, limit
        self._known: tuple[dict[int, int], ...] = ({}, {}, {})
        self._tails: dict[int, tuple[tuple[Ran, ...], int]] = {}
        self._told_at = time.monotonic()

    def run(self, depth: int) -> Report:
        """Try all faults, alone (depth 1) or in pairs (2)."""
        began = time.monotonic()
        world = self._new_world()
        memory = world.stage.memory
        asked, states = memory.asked, memory.states
        end = self._finish(world)
        self._usual = Counter((each.step, each.child) for each in world.ran)
        world.close()
        self.report = report = Report(world.stage.flow.name, world.stage.one_server, depth, end)
        report.tried = self._explore(Schedule(), depth)
        report.broken.sort(key=lambda broken: (len(broken.story.lines), len(broken.schedule)))
        report.asked, report.states = memory.asked - asked, memory.states - states
        report.seconds = time.monotonic() - began
        return report

    def alone(self) -> list[tuple[Schedule, What]]:
        """Return every schedule with one fault that changes anything, shortest first; of those that lead to equal worlds only one."""
        world = self._new_world()
        self.report = Report(world.stage.flow.name, world.stage.one_server, 1, world.finish())
        world.close()
        world = self._new_world()
        path: list[_Stop] = []
        self._go_on(world, Schedule(), 1, path)
        world.close()
        seen: set[int] = set()
        found = []
        for child in (child for stop in path for child in stop.children if not child.nothing):
            if child.identity is None or child.identity not in seen:
                found.append((child.schedule, child.fault))
            seen |= {child.identity} if child.identity is not None else set()
        return found

    def _finish(self, world: World) -> End:
        end = world.finish()
        if self._after:
            try:
                self._after()
            except AssertionError as error:
                raise world.stage.broken(str(error) or "what must hold after the run does not") from error
        return end

    def _explore(self, schedule: Schedule, budget: int, fault: What = "on") -> int:
        """Play a schedule and go on to the end, then try all faults on the way; returns how many were, of those that are the last ones."""
        if len(self.report.broken) >= self._limit:
            return 0
        world = self._new_world()
        self.report.worlds += 1
        path: list[_Stop] = []
        try:
            play(world, schedule)
            merged = self._go_on(world, schedule, budget, path)
        except Broken as broken:
            self.report.broken.append(broken)
            return 1
        finally:
            world.close()
        ran = (*world.ran, *(() if merged is None else self._tail(merged)))
        for stop in path:
            self._known[0][stop.identity], self._tails[stop.identity] = 1, (ran, stop.ran)
        if not budget:
            self._compare(ran, schedule, fault)
            self._tell()
            return 1
        beyond = 0 if merged is None else self._known[budget][merged]
        for stop in reversed(path):
            beyond += sum(self._weigh(child, budget - 1) for child in stop.children)
            self._known[budget][stop.identity] = beyond
        if not schedule.moves:
            self.report.points = len(path) - 1
        self._tell()
        return beyond

    def _go_on(self, world: World, schedule: Schedule, budget: int, path: list[_Stop]) -> int | None:
        """Go on to the end, or to a world that is known: returns its number."""
        at = 0
        while world.advance():
            identity = world.identity
            if identity in self._known[budget] and not self._after:
                return identity
            path.append(
                _Stop(identity, list(self._children(world, schedule, at)) if budget and at % self._every == 0 else [], len(world.ran))
            )
            world.let(0)
            at += 1
        after = list(self._repeats(world, schedule.then(Move("on", at)))) if budget else []
        path.append(_Stop(world.identity, after, len(world.ran)))
        end = self._finish(world)
        if end != self.report.end:
            raise world.stage.broken(f"the run ended as {end}, without faults it ends as {self.report.end}")
        return None

    def _children(self, world: World, schedule: Schedule, at: int) -> Iterator[_Child]:
        """Yield all that may go wrong before, while and after the next point goes."""
        here = schedule.then(Move("on", at)) if at else schedule
        point = world.pending[0]
        ran = tuple(world.ran)
        for fault in self._faults:
            child = _Child(here.then(Move(fault)), fault, world.identity, ran=ran)
            if fault == "die":
                yield child._replace(identity=world.identity_without(point.actor))
            elif fault == "die unheard" and point.words:
                step = world.stage.peek(point.words, point.options)
                yield child._replace(identity=None if step.breach else world.identity_without(point.actor, step.after))
            elif fault == "repeat":
                yield from self._repeats(world, here)
            elif fault == "resend":
                yield child._replace(nothing=_same_twice(world, point)) if point.words else child._replace(nothing=True)
            else:
                yield child

    def _repeats(self, world: World, here: Schedule) -> Iterator[_Child]:
        """Yield each call that was sent, coming once more; most of them change nothing."""
        plain, ran = world.identity, tuple(world.ran)
        for number, words in enumerate(world.stage.sent if "repeat" in self._faults else ()):
            step = world.stage.peek(words)
            nothing = not step.breach and step.after is world.stage.state
            yield _Child(here.then(Move("repeat", number)), "repeat", plain, nothing=nothing, ran=ran)

    def _weigh(self, child: _Child, budget: int) -> int:
        """Look into a world, unless it is known; returns how many faults were tried in it."""
        if self.report.depth == 1:
            self.report.by_fault[child.fault] += 1
        if child.nothing:
            return 1 if not budget else self._weigh_without(child, budget)
        if child.identity is not None and child.identity in self._known[budget] and not self._after:
            if not budget:
                self._compare(child.ran + self._tail(child.identity), child.schedule, child.fault)
            return self._known[budget][child.identity]
        if budget and child.fault in CLOCKS and not self._looked(child):
            return self._weigh_without(child, budget)
        return self._explore(child.schedule, budget, child.fault)

    def _weigh_without(self, child: _Child, budget: int) -> int:
        """Return what can be tried in the world as it is without a fault that changes nothing."""
        known = self._known[budget].get(child.plain)
        return self._explore(Schedule(child.schedule.moves[:-1]), budget) if known is None else known

    def _looked(self, child: _Child) -> bool:
        """Play a course with a wrong clock, and tell whether anybody looked at it."""
        world = self._new_world()
        self.report.worlds += 1
        try:
            play(world, child.schedule)
            self._finish(world)
        except Broken as broken:
            self.report.broken.append(broken)
        finally:
            world.close()
        return any(actor.machine.looks for actor in world.actors)

    def _tail(self, identity: int) -> tuple[Ran, ...]:
        ran, before = self._tails[identity]
        return ran[before:]

    def _compare(self, ran: Sequence[Ran], schedule: Schedule, fault: What) -> None:
        """Note which steps ran more often than without faults."""
        if self.report.depth == 1:
            for place, times in Counter((each.step, each.child) for each in ran).items():
                if times > self._usual[place]:
                    under = self.report.again.setdefault(place, {})
                    if fault not in under or _size(schedule) < _size(under[fault]):
                        under[fault] = schedule

    def _tell(self) -> None:
        if time.monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = time.monotonic()
            self._progress(self.report)


def _same_twice(world: World, point: Point) -> bool:
    """Tell whether a call that is sent again is answered as the first time and changes nothing more."""
    first = world.stage.peek(point.words, point.options)
    if first.breach or point.words[0] == "TIME":
        return not first.breach
    second = world.stage.peek(point.words, point.options, first.after)
    return not second.breach and second.after is first.after and repr(second.reply) == repr(first.reply)


def _size(schedule: Schedule) -> int:
    return sum(move.n if move.what == "on" else 1 for move in schedule.moves)


def enumerate_faults(
    flow: Flow[P, Any],
    arguments: Sequence[Any] = (),
    *,
    memory: Memory | None = None,
    one_server: bool = True,
    pairs: bool = False,
    every: int = 1,
    faults: Sequence[What] = ALONE,
    concurrency: int = 3,
    retries: int = 0,
    counted: bool = False,
    bulk: bool = False,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] | None = None,
    progress: Callable[[Report], None] = lambda _report: None,
) -> Report:
    """Play a flow with every fault at every point of its course, and report what held.

    A point is a call to the server or the execution of a step. ``pairs`` tries all pairs of faults, ``every`` only each so-manieth point.
    So many ``retries`` follow as soon as the run has failed.

    ``before`` is called before each course, to set up what steps work on. ``after`` is called after each course and raises AssertionError
    when what they did is wrong; then every course is played to its end, however equal the worlds are. ``counted`` says that what steps do
    depends on how often they ran. With ``bulk`` the run is started as one of many. ``memory`` says on which server; without, one is started
    for this process.
    """
    place = memory or home()

    def new_world() -> World:
        before()
        return World(place, flow, arguments, one_server=one_server, concurrency=concurrency, retries=retries, counted=counted, bulk=bulk)

    return Enumeration(new_world, faults=faults, every=every, after=after, progress=progress).run(2 if pairs else 1)
