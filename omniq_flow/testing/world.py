"""A world in which a run moves one point at a time: the product's own workers and scripts, and a driver that decides what goes next.

Every call to the server and every execution of a step is a point at which an actor waits until the world lets it go. All happens on one
thread, on a clock of its own, and with names that follow from who draws them: the same moves give the same course, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import ResponseError

from omniq_flow.compiler.compiled import NodeCode
from omniq_flow.compiler.plan import MapNode
from omniq_flow.doctor.queue_facts import jobs_in
from omniq_flow.doctor.snapshot import hash_at
from omniq_flow.queue import operations
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operation import Operation
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.operations import Attempt
from omniq_flow.runtime.keys import live_index, run_base, shard_of
from omniq_flow.runtime.run import Run
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.shapes import DEFAULT_QUEUE, Shapes
from omniq_flow.runtime.starting import new_run
from omniq_flow.runtime.talk import Talk
from omniq_flow.testing.actors import DOING, Actor
from omniq_flow.testing.invariants import Watch
from omniq_flow.testing.loop import WorldLoop
from omniq_flow.testing.memory import Memory, State, Step
from omniq_flow.testing.schedule import HOUR_MS, ROLES, Move, Schedule, What
from omniq_flow.testing.store import Command
from omniq_flow.testing.story import Story, call_name, reply_told, state_told
from omniq_flow.testing.surroundings import Clock, timed
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.served import Served

T = TypeVar("T")

BEGINNING_MS = 1_800_000_000_000
KEEP_MS = 3_600_000
ROUNDS = 12
ENDED = frozenset({"succeeded", "failed"})


class Broken(AssertionError):
    """A schedule broke a promise; the message says which, and tells the story. ``schedule`` plays it again."""

    def __init__(self, what: str, story: Story, schedule: Schedule) -> None:
        super().__init__(f"{what}\n\n{story}")
        self.what, self.story, self.schedule = what, story, schedule


class Ran(NamedTuple):
    """One execution of a step: which step, which child of a fan-out (None elsewhere), which attempt, and who ran it."""

    step: str
    index: int | None
    attempt: int
    who: str


class End(NamedTuple):
    """How a run ended: its status, and its result as JSON, or the failure's type."""

    status: str
    result: str


@dataclass(eq=False, slots=True)
class Point:
    """Where an actor waits: before a command is sent, or before a step runs (``words`` is empty then)."""

    actor: Actor
    label: str
    words: Command
    options: Mapping[str, Any]
    answer: asyncio.Future[Any]
    ran: Ran | None = None


class World:
    """One run of one flow, and its actors.

    ``one_server`` chooses how turns are taken, ``concurrency`` and ``lease_s`` are those of each worker. Without ``janitor`` none ever comes.
    ``counted`` says that what steps do depends on how often they ran: worlds are the same only if all have run equally often. Worlds that
    share a memory share what the server has answered before.
    """

    def __init__(
        self,
        memory: Memory,
        flow: Flow[..., Any],
        arguments: Sequence[Any] = (),
        *,
        one_server: bool = True,
        concurrency: int = 3,
        lease_s: float = 60.0,
        janitor: bool = True,
        counted: bool = False,
    ) -> None:
        self.memory, self.flow, self.one_server, self.concurrency = memory, flow, one_server, concurrency
        self.lease_ms, self.janitor, self.counted = round(lease_s * 1000), janitor, counted
        self.loop = WorldLoop()
        self.clock = Clock(BEGINNING_MS)
        self.state: State = memory.nothing
        self.served = Served([flow], self.lease_ms)
        queue = flow.options.queue or DEFAULT_QUEUE
        self.shapes = Shapes(flow.compiled, queue, self.lease_ms)
        self.queues = sorted(self.shapes.queues)
        bound = flow.compiled.bind(tuple(arguments), {})
        with self.clock.shown():
            self.run = new_run(flow.compiled, self.shapes, bound, key="the run", queue=queue, keep_ms=KEEP_MS)
        self.watch = Watch(self.run.id, flow.compiled.plan, self.shapes.queues)
        self.story = Story()
        self.schedule = Schedule()
        self.actors: list[Actor] = []
        self.pending: list[Point] = []
        self.stopped: list[tuple[Actor, list[Point]]] = []
        self.sent: list[Command] = []
        self.late: list[Command] = []
        self.ran: list[Ran] = []
        self.cancelled = False
        self._begun: Counter[str] = Counter()
        self._attempts: set[Attempt] = set()

    # What actors ask of it.

    async def call(self, actor: Actor, words: Command, options: Mapping[str, Any]) -> Any:
        """Let a command wait until the world sends it."""
        point = Point(actor, call_name(words), words, options, self.loop.create_future())
        self._wait(point)
        return await point.answer

    async def step(self, actor: Actor, claimed: Claimed, code: NodeCode) -> None:
        """Let a step wait until the world lets it run."""
        attempt = claimed.attempt
        index = attempt.index if isinstance(self.flow.compiled.plan.nodes[attempt.node], MapNode) else None
        ran = Ran(code.step.name, index, claimed.number, actor.name)
        label = f"step {code.step.name.rpartition('.')[2]}" + ("" if index is None else f"[{index}]")
        point = Point(actor, label, (), {}, self.loop.create_future(), ran)
        self._wait(point)
        await point.answer
        if attempt in self._attempts:
            self.loop.errors.append(self.broken(f"{label} was run twice in one attempt"))
        self._attempts.add(attempt)

    def handle(self) -> Run[Any]:
        """Return a handle of the run, to hold its talks with."""
        session = Session("unix:///nowhere", one_server=self.one_server)
        return Run(self.run.id, session, decode=self.flow.compiled.returns.decode, shapes_of=lambda _queue: self.shapes)

    def _wait(self, point: Point) -> None:
        for actor, waiting in self.stopped:
            if actor is point.actor:
                waiting.append(point)
                return
        if not point.actor.dead:
            self.pending.append(point)

    # What the driver does.

    def play(self, schedule: Schedule) -> None:
        """Do what a schedule says; the world stands still after its last move."""
        for move in schedule.moves:
            self.do(move)

    def do(self, move: Move) -> None:
        """Do one thing."""
        self.schedule = self.schedule.then(move)
        _DO[move.what](self, move.n)
        self._rest()

    def on(self, points: int) -> None:
        """Let so many points go, in the order in which they came; actors begin, and time passes, as it is needed."""
        for _ in range(points):
            if not self.advance():
                return
            self.let(0)

    def advance(self) -> bool:
        """Bring the world to where a point waits; False when all is over. Raises Broken when it does not end."""
        while not self.pending:
            if self._sleeps() or self._begins():
                continue
            if self.over():
                if not self._afterwards():
                    return False
            elif self._begun["time"] < ROUNDS:
                self.next_round()
            else:
                raise self.broken("the run does not end")
        return True

    def _begins(self) -> bool:
        """Let whoever is needed begin."""
        if not self._begun["starter"]:
            self.begin("starter")
        elif any(job.state == "wait" for job in self._jobs()):
            self.begin("worker")
        else:
            return False
        return True

    def _sleeps(self) -> bool:
        """Let the actors' own time pass until one of their timers is due; False when none is."""
        with self.clock.shown():
            return self.loop.sleep_on()

    def let(self, which: int) -> None:
        """Let a waiting point go."""
        if point := self._take(which):
            self._go(point)
            self._rest()

    def begin(self, role: str) -> None:
        """Let another actor begin."""
        self._begun[role] += 1
        self.cancelled |= role == "canceller"
        actor = Actor(self, role, self._begun[role])
        self.actors.append(actor)
        actor.begin(DOING[role])
        self._rest()

    def pass_time(self) -> None:
        """Let every lease run out and every delay be over, reap and promote; the actors live on, and do not know."""
        self.tick(self.lease_ms + 1000)
        self.story.fault("time passes: every lease has run out, every delay is over")
        self._begun["time"] += 1
        call = Call(f"time {self._begun['time']}", 1)
        for queue in self.queues:
            self._execute(call.client, operations.reap_expired(queue, call=call).by_digest())
        delayed = [score for queue in self.queues for score in hash_at(self.state.texts, f"{{{queue}}}:delayed").values()]
        if delayed:
            self.tick(max(0, *(int(float(score)) - self.clock.now_ms for score in delayed)))
            for queue in self.queues:
                self._execute(call.client, operations.promote_delayed(queue, call=call).by_digest())

    def tick(self, by_ms: int) -> None:
        """Let the clock go on."""
        self.clock.now_ms += by_ms
        self.state = self.memory.later(self.state, by_ms)

    def finish(self) -> End:
        """Let it all come to its end without further faults, and return it. Raises Broken when it does not end, or not well."""
        while self.advance():
            self.let(0)
        self.check_end()
        return self.end()

    def next_round(self) -> None:
        """Let time pass, and whoever is needed begin; a janitor only where all others have tried in vain."""
        self.pass_time()
        if not self.status():
            self.begin("starter")
        if self.status() == "cancelled":
            self.begin("canceller")
        if self.janitor and self._begun["time"] > 1:
            self.begin("janitor")

    def _afterwards(self) -> bool:
        """Let what was held back come now that all is over; False when nothing was."""
        if self.late:
            for words in self.late:
                self.story.fault(f"late: {call_name(words)}")
                self._execute("late", words)
            self.late.clear()
            return True
        if self.stopped:
            self.wake(0)
            return True
        if self.listed() and not self._begun["kept"]:
            self._begun["kept"] += 1
            self.begin("janitor")
            return True
        return False

    def wake(self, which: int) -> None:
        """Let a stopped actor go on."""
        if self.stopped:
            actor, waiting = self.stopped.pop(which % len(self.stopped))
            actor.stopped = False
            self.story.fault(f"{actor.name} goes on")
            self.pending += waiting

    def close(self) -> None:
        """Let go of all actors."""
        for actor in self.actors:
            actor.dead = True
        self.pending.clear()
        self.loop.drop()

    # What is there.

    def over(self) -> bool:
        """Tell whether the run has ended and no job of it is left, a cancelled one retried."""
        return self.status() in ENDED and not any(job.state in {"wait", "active", "delayed"} for job in self._jobs())

    def status(self) -> str:
        """Return the run's status, empty before it exists."""
        return hash_at(self.state.texts, f"{run_base(self.run.id)}:meta").get("status", "")

    def listed(self) -> bool:
        """Tell whether the run is listed among those that live."""
        return self.run.id in hash_at(self.state.texts, live_index(shard_of(self.run.id)))

    def told(self) -> str:
        """Return in one line where the run and its jobs are."""
        return state_told(self.state.texts, self.run.id, self.flow.compiled.plan, self.queues)

    def end(self) -> End:
        """Return how the run has ended."""
        status = self.status()
        if status == "succeeded":
            return End(status, self.ask(self.handle()._outcome()).decode())  # noqa: SLF001  # the talk of result(), over the memory
        base = run_base(self.run.id)
        failed = hash_at(self.state.texts, f"{base}:meta").get("failed", "")
        return End(status, hash_at(self.state.texts, f"{base}:fails").get(failed, "").partition(',"message"')[0])

    def ask(self, talk: Talk[T]) -> T:
        """Hold a talk with the state as it is."""
        try:
            operation: Operation[Any] = next(talk)
            while True:
                reply = self.memory.send(self.state, timed(operation.by_digest(), self.clock.now_ms), {}, self.clock.now_ms).reply
                operation = talk.send(operation.decode(reply))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def check_end(self) -> None:
        """Raise Broken when an ended run leaves behind what should be gone."""
        base = run_base(self.run.id)
        for name, key in self.state.keys.items():
            if name.startswith(base.encode()) and key.lives_ms < 0:
                raise self.broken(f"the run has ended, and {name.decode()} has no end")
        if self.listed():
            raise self.broken("the run has ended, and is listed as live after a janitor has looked")

    @property
    def identity(self) -> int:
        """A number for the world as it is: worlds with the same number have the same future."""
        return self.identity_without(None)

    def identity_without(self, actor: Actor | None, state: State | None = None) -> int:
        """Return what the world's number is once an actor is dead, and the store is in this state."""
        alive = frozenset(each.identity for each in self.actors if not each.dead and each is not actor and not each.task.done())
        waiting = tuple(point.actor.name for point in self.pending if point.actor is not actor)
        asleep = tuple(each.name for each, _ in self.stopped)
        later = tuple(hash(words) for words in self.late)
        begun = frozenset(self._begun.items())
        ran = frozenset(Counter((each.step, each.index) for each in self.ran).items()) if self.counted else None
        where = (state or self.state).number
        return hash((where, self.clock.now_ms, self.loop.time(), alive, waiting, asleep, later, begun, ran, self.cancelled))

    def peek(self, words: Command, options: Mapping[str, Any] | None = None, state: State | None = None) -> Step:
        """Return what a command would lead to, without sending it; ``breach`` says what it would break."""
        before = state or self.state
        step = self.memory.send(before, timed(words, self.clock.now_ms), options or {}, self.clock.now_ms)
        if step.breach is None:
            step.breach = self.watch.breach(before.texts, step.after.texts, words) if step.after is not before else ""
        return step

    def broken(self, what: str) -> Broken:
        """Return the error that tells this course."""
        self.story.state(self.told())
        return Broken(what, self.story, self.schedule)

    # How it is done.

    def _jobs(self) -> list[Any]:
        return [job for queue in self.queues for job in jobs_in(self.state.texts, queue)]

    def _rest(self) -> None:
        with self.clock.shown():
            self.loop.rest()
        if self.loop.errors:
            raise self.loop.errors[0]
        for actor in self.actors:
            if actor.task.done() and not actor.dead and (error := actor.task.exception()):
                raise self.broken(f"{actor.name} ended with {type(error).__name__}: {error}") from error

    def _take(self, which: int) -> Point | None:
        return self.pending.pop(which % len(self.pending)) if self.pending else None

    def _go(self, point: Point, *, times: int = 1) -> None:
        reply: Any = None
        if point.words:
            for _ in range(times):
                reply = self._execute(point.actor.name, point.words, point.options)
            point.actor.hear(_digest(reply))
        else:
            self.story.point(point.actor.name, point.label, "")
            point.actor.hear(point.label)
            assert point.ran is not None  # noqa: S101  # a point without words is a step
            self.ran.append(point.ran)
        if isinstance(reply, ResponseError):
            point.answer.set_exception(reply)
        else:
            point.answer.set_result(reply)

    def _execute(self, who: str, words: Command, options: Mapping[str, Any] | None = None) -> Any:
        if words[0] == "TIME":
            return divmod(self.clock.now_ms * 1000, 1_000_000)
        step = self.peek(words, options)
        self.state = step.after
        self.sent.append(words)
        self.story.point(who, call_name(words), reply_told(step.reply))
        if step.breach:
            raise self.broken(step.breach)
        return step.reply

    def _kill(self, point: Point) -> None:
        point.actor.dead = True
        self.pending = [each for each in self.pending if each.actor is not point.actor]
        self.story.fault(f"{point.actor.name} dies")
        self.story.state(self.told())

    # The moves.

    def _begin_role(self, n: int) -> None:
        self.begin(ROLES[n % len(ROLES)])

    def _die(self, n: int) -> None:
        if self.pending:
            self._kill(self.pending[n % len(self.pending)])

    def _die_unheard(self, n: int) -> None:
        if point := self._take(n):
            if point.words:
                self._execute(point.actor.name, point.words, point.options)
            else:
                self._go(point)
                self._rest()
            self._kill(point)

    def _late(self, n: int) -> None:
        if self.pending:
            point = self.pending[n % len(self.pending)]
            self.late += [point.words] if point.words else []
            self._kill(point)

    def _resend(self, n: int) -> None:
        if point := self._take(n):
            self.story.fault(f"the reply to {point.actor.name} is lost, and its call is sent again")
            self._go(point, times=2)

    def _repeat(self, n: int) -> None:
        if self.sent:
            words = self.sent[n % len(self.sent)]
            self.story.fault(f"a call arrives once more: {call_name(words)}")
            self._execute("once more", words)

    def _expire(self, _n: int) -> None:
        self.pass_time()

    def _stall(self, n: int) -> None:
        if self.pending:
            actor = self.pending[n % len(self.pending)].actor
            self.story.fault(f"{actor.name} is stopped")
            actor.stopped = True
            self.stopped.append((actor, [point for point in self.pending if point.actor is actor]))
            self.pending = [point for point in self.pending if point.actor is not actor]

    def _skew(self, n: int, by_ms: int, back_ms: int = 0) -> None:
        if self.pending:
            machine = self.pending[n % len(self.pending)].actor.machine
            machine.skew_ms, machine.back_ms = by_ms, back_ms
            self.story.fault(f"the clock of {machine.name} is wrong from now on")


_DO: Mapping[What, Callable[[World, int], None]] = {
    "on": World.on,
    "let": World.let,
    "die": World._die,
    "die unheard": World._die_unheard,
    "late": World._late,
    "resend": World._resend,
    "repeat": World._repeat,
    "expire": World._expire,
    "stall": World._stall,
    "wake": World.wake,
    "ahead": lambda world, n: world._skew(n, HOUR_MS),
    "behind": lambda world, n: world._skew(n, -HOUR_MS),
    "back": lambda world, n: world._skew(n, 0, 1000),
    "begin": World._begin_role,
    "tick": World.tick,
}


def _digest(reply: Any) -> int:
    return hash(repr(reply))
