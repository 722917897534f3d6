"""A world in which a run moves one point at a time: the product's own workers and scripts, and a driver that decides what goes next.

Every call to the server and every execution of a step is a point at which an actor waits until the world lets it go. All happens on one
thread, on a clock of its own, and with names that follow from who draws them: the same moves give the same course, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from redis.exceptions import ResponseError

from omniq_flow.compiler.compiled import NodeCode
from omniq_flow.compiler.plan import MapNode
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.operations import Attempt
from omniq_flow.testing.actors import DOING, Actor
from omniq_flow.testing.loop import WorldLoop
from omniq_flow.testing.memory import Memory, State
from omniq_flow.testing.points import Point
from omniq_flow.testing.stage import Stage
from omniq_flow.testing.store import Command
from omniq_flow.testing.story import call_name
from omniq_flow.testing.verdict import End, Ran
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.served import Served

ROUNDS: Final = 12
"""So often time passes, and once more for each attempt that was cut off, before a run is said never to end."""
LOOKS: Final = 3
"""So many janitors may look after a run that has ended and is listed as live: it may be listed again by calls that come late."""
TURN_MS: Final = 11_000
"""After so long any janitor's turn is over, and a run that has not moved is looked after."""


class World:
    """One run of one flow, and its actors.

    ``one_server`` chooses how turns are taken, ``concurrency`` and ``lease_s`` are those of each worker. So many ``retries`` follow as soon
    as the run has failed. Without ``janitor`` none comes but the one that looks once all is over. ``counted`` says that what steps do
    depends on how often they ran: worlds are the same only if all have run equally often. With ``bulk`` the run is started as one of many,
    twice in the same call. Worlds that share a memory share what the server
    has answered before.
    """

    def __init__(
        self,
        memory: Memory,
        flow: Flow[..., Any],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] = MappingProxyType({}),
        *,
        one_server: bool = True,
        concurrency: int = 3,
        lease_s: float = 60.0,
        retries: int = 0,
        janitor: bool = True,
        counted: bool = False,
        bulk: bool = False,
    ) -> None:
        self._made: Callable[[], World] = partial(
            World,
            memory,
            flow,
            arguments,
            keywords,
            one_server=one_server,
            concurrency=concurrency,
            lease_s=lease_s,
            retries=retries,
            janitor=janitor,
            counted=counted,
            bulk=bulk,
        )
        self._retries = retries
        self.cuts = 0
        self.bears = min((code.options.crashes for code in flow.compiled.nodes.values()), default=0)
        self.stage = Stage(memory, flow, arguments, keywords, one_server=one_server, lease_ms=round(lease_s * 1000))
        self.concurrency, self.janitor, self.counted, self.bulk = concurrency, janitor, counted, bulk
        self.loop = WorldLoop()  # type: ignore[abstract]  # what it lacks needs the operating system
        self.served = Served([flow], self.stage.lease_ms)
        self.actors: list[Actor] = []
        self.pending: list[Point] = []
        self.stopped: list[tuple[Actor, list[Point]]] = []
        self.late: list[Command] = []
        self.ran: list[Ran] = []
        self.begun: Counter[str] = Counter()
        self._rounds = self._passes = 0
        self._looks = 0
        self._in_vain = 0
        self._orphaned = False
        self._attempts: set[Attempt] = set()

    def anew(self) -> World:
        """Return a world that begins as this one did."""
        return self._made()

    # What actors ask of it.

    async def call(self, actor: Actor, words: Command, options: Mapping[str, Any]) -> Any:
        """Let a command wait until the world sends it."""
        point = Point(actor, call_name(words), words, options, self.loop.create_future())
        self._wait(point)
        return await point.answer

    async def step(self, actor: Actor, claimed: Claimed, code: NodeCode) -> None:
        """Let a step wait until the world lets it run."""
        attempt = claimed.attempt
        index = attempt.index if isinstance(self.stage.flow.compiled.plan.nodes[attempt.node], MapNode) else None
        ran = Ran(code.step.name, index, claimed.number, actor.name)
        point = Point(actor, f"step {ran.name}", (), {}, self.loop.create_future(), ran)
        self._wait(point)
        await point.answer
        if attempt in self._attempts:
            self.loop.errors.append(self.stage.broken(f"step {ran.name} was run twice in one attempt"))
        self._attempts.add(attempt)

    def _wait(self, point: Point) -> None:
        for actor, waiting in self.stopped:
            if actor is point.actor:
                waiting.append(point)
                return
        if not point.actor.dead:
            self.pending.append(point)

    # How it goes on by itself.

    def finish(self) -> End:
        """Let it all come to its end without further faults, and return it. Raises Broken when it does not end, or not well."""
        while self.advance():
            self.let(0)
        return self.stage.end()

    def on(self, points: int) -> None:
        """Let so many points go, in the order in which they came; actors begin, and time passes, as it is needed."""
        for _ in range(points):
            if not self.advance():
                return
            self.let(0)

    def advance(self) -> bool:
        """Bring the world to where a point waits; False when all is over. Raises Broken when it does not end."""
        while not self.pending:
            if self._time_of_actors() or self._begin_whoever_is_needed():
                continue
            if self.stage.over():
                if not self._afterwards():
                    return False
            elif self._rounds < ROUNDS + self.cuts:
                self._next_round()
            else:
                raise self.stage.broken("the run does not end")
        return True

    def _time_of_actors(self) -> bool:
        with self.stage.clock.shown():
            return self.loop.sleep_on()

    def _begin_whoever_is_needed(self) -> bool:
        if not self.begun["starter"]:
            self.begin("starter")
        elif self._retries and self.stage.status() == "failed":
            self._retries -= 1
            self.begin("canceller")
        elif (waiting := self._jobs_for_a_worker()) and waiting != self._in_vain:
            # Where the last worker found nothing in all that waits, the group is full: only time helps.
            self._in_vain = waiting
            self.begin("worker")
        else:
            return False
        return True

    def stir(self) -> None:
        """Note that something happened from outside: a worker may find jobs where the last one found none."""
        self._in_vain = 0

    def _jobs_for_a_worker(self) -> int:
        """Return a number for the jobs as they are, 0 when none waits."""
        jobs = self.stage.jobs()
        return hash(tuple((job.id, job.state, job.token) for job in jobs)) if any(job.state == "wait" for job in jobs) else 0

    def _next_round(self) -> None:
        """Let time pass, and whoever is needed begin.

        A janitor is needed only for what starters, cancellers and janitors left undone: what a worker leaves behind its lease brings back.
        """
        self._rounds += 1
        self.pass_time()
        if not self.stage.status():
            self.begin("starter")
        if self.stage.status() == "cancelled":
            self.begin("canceller")
        if self.janitor and self._orphaned:
            self.begin("janitor")

    def _afterwards(self) -> bool:
        """Let what was held back come now that all is over; False when nothing was."""
        self.stir()
        if self.late:
            for words in self.late:
                self.stage.story.fault(f"late: {call_name(words)}")
                self.stage.execute("late", words)
            self.late.clear()
        elif self.stopped:
            self.wake(0)
        elif self.stage.listed() and self._looks < LOOKS:
            self._looks += 1
            self.stage.tick(TURN_MS)
            self.begin("janitor")
        else:
            return False
        return True

    # What may be done to it.

    def let(self, which: int) -> None:
        """Let a waiting point go."""
        if point := self.take(which):
            self.go(point)
            self.rest()

    def take(self, which: int) -> Point | None:
        """Take a point out of those that wait; the oldest is 0."""
        return self.pending.pop(which % len(self.pending)) if self.pending else None

    def go(self, point: Point, *, twice: bool = False) -> None:
        """Let a point that was taken happen; a call also ``twice``, and its actor hears the second reply."""
        actor, reply = point.actor, None
        if point.ran is not None:
            self.stage.story.point(actor.name, point.label, "")
            self.ran.append(point.ran)
            actor.hear(point.label)
        else:
            reply = self.stage.execute(actor.name, point.words, point.options)
            if twice:
                reply = self.stage.execute_again(actor.name, point.words, point.options)
            actor.hear(repr(reply))
        if isinstance(reply, ResponseError):
            point.answer.set_exception(reply)
        else:
            point.answer.set_result(reply)

    def rest(self) -> None:
        """Let all actors go on to where they wait. Raises Broken when one of them ended with an error."""
        with self.stage.clock.shown():
            self.loop.rest()
        if self.loop.errors:
            raise self.loop.errors[0]
        for actor in self.actors:
            if actor.task.done() and not actor.dead and (error := actor.task.exception()):
                raise self.stage.broken(f"{actor.name} ended with {type(error).__name__}: {error}") from error

    def begin(self, role: str) -> None:
        """Let another actor begin."""
        self.begun[role] += 1
        actor = Actor(self, role, self.begun[role])
        self.actors.append(actor)
        actor.begin(DOING[role])
        self.rest()

    def kill(self, actor: Actor) -> None:
        """End an actor here and now; what it was going to send is never sent."""
        actor.dead = True
        self._orphaned |= actor.role != "worker"
        self.pending = [point for point in self.pending if point.actor is not actor]
        self.stage.story.fault(f"{actor.name} dies")
        self.stage.story.state(self.stage.told())

    def stop(self, actor: Actor) -> None:
        """Stop an actor until all is over, or until it is woken."""
        actor.stopped = True
        self._orphaned |= actor.role != "worker"
        self.stopped.append((actor, [point for point in self.pending if point.actor is actor]))
        self.pending = [point for point in self.pending if point.actor is not actor]
        self.stage.story.fault(f"{actor.name} is stopped")

    def wake(self, which: int) -> None:
        """Let a stopped actor go on."""
        if self.stopped:
            actor, waiting = self.stopped.pop(which % len(self.stopped))
            actor.stopped = False
            self.stage.story.fault(f"{actor.name} goes on")
            self.pending += waiting

    def pass_time(self) -> None:
        """Let every lease run out and every delay be over; the actors live on, and do not know."""
        self.stir()
        self._passes += 1
        self.stage.pass_time(f"time {self._passes}")

    def close(self) -> None:
        """Let go of all actors."""
        for actor in self.actors:
            actor.leave()
        self.pending.clear()
        self.loop.end()

    # What it is.

    @property
    def identity(self) -> int:
        """A number for the world as it is: worlds with the same number have the same future."""
        return self.identity_without(None)

    def identity_without(self, actor: Actor | None, state: State | None = None) -> int:
        """Return what the world's number is once an actor is dead, and the store is in this state."""
        stage = self.stage
        return hash(
            (
                (state or stage.state).number,
                stage.clock.now_ms,
                self.loop.time(),
                frozenset(each.identity for each in self.actors if each is not actor and not each.dead and not each.task.done()),
                tuple(point.actor.name for point in self.pending if point.actor is not actor),
                tuple(each.name for each, _ in self.stopped),
                tuple(self.late),
                frozenset(self.begun.items()),
                frozenset(Counter((each.step, each.child) for each in self.ran).items()) if self.counted else None,
                self._rounds,
                self._passes,
                self._retries,
                self._looks,
                self._in_vain,
                self._orphaned or (actor is not None and actor.role != "worker"),
            )
        )
