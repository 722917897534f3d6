"""A world in which runs move one call at a time: real workers on a real server, and a driver that decides which call goes next, and how.

Every call of a worker, a starter or a janitor waits until the driver lets it go. The driver may also end its actor before or after it,
send it twice, or send an earlier one again. All on one thread, so a list of numbers is a schedule that can be replayed and shrunk.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgspec
import redis
import redis.asyncio as aio
from redis.exceptions import NoScriptError
from run_predicates import Snapshot, check_stale, check_state, check_step, outcomes_of, snapshot

import omniq_flow
from omniq_flow import Flow, Run, Session
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.operations import Ending, View, view
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import StoredPlans, new_run, start_run
from omniq_flow.runtime.talk import ahold, hold
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turns

LEASE_MS = 60_000
ROUNDS = 40
SPINS = 12
QUEUE = "default"
SCRIPTS = tuple(path.stem for path in (Path(omniq_flow.__file__).parent / "lua").glob("*.lua"))

executed: Counter[tuple[str, int]] = Counter()
"""How often the user code of a child ran, by what it was given; steps of tests count here."""


@dataclass(eq=False)
class Call:
    """A command that waits to be sent."""

    actor: str
    words: tuple[Any, ...]
    options: dict[str, Any]
    answer: asyncio.Future[Any]

    @property
    def name(self) -> str:
        """What it calls, for stories."""
        if self.words[0] in {"EVALSHA", "EVAL"}:
            return next((name for name in SCRIPTS if script(name).sha == self.words[1]), "?") + f" {self.words[3]}"
        return " ".join(map(str, self.words[:2]))


class Stepped(aio.Redis):
    """An asyncio client whose commands go through the world instead of a socket."""

    def __init__(self, world: World, actor: str) -> None:
        super().__init__()
        self.world, self.actor = world, actor

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        return await self.world.ask(self.actor, words, options)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        return _Pipeline(self)


class _Pipeline:
    def __init__(self, client: Stepped) -> None:
        self._client = client
        self._words: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def execute_command(self, *words: Any) -> None:
        self._words.append(words)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        answers: list[Any] = []
        for words in self._words:
            try:
                answers.append(await self._client.execute_command(*words))
            except redis.ResponseError as error:
                answers.append(error)
        return answers


@dataclass
class World:
    """One run of one flow, its actors, and all that was ever sent."""

    redis: redis.Redis
    flow: Flow[..., Any]
    arguments: tuple[Any, ...]
    one_server: bool
    room: int = 3
    pending: list[Call] = field(default_factory=list)
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    cancelled: bool = False

    def __post_init__(self) -> None:
        executed.clear()
        self.redis.flushall()
        known: Any = self.redis.script_exists(*(script(name).sha for name in SCRIPTS))
        for name, loaded in zip(SCRIPTS, known, strict=True):
            if not loaded:
                self.redis.script_load(script(name).text)
        self.client = OmniqClient(redis=self.redis)
        self.served = Served([self.flow], LEASE_MS)
        self.shapes = Shapes(self.flow.compiled, QUEUE, LEASE_MS)
        bound = self.flow.compiled.bind(self.arguments, {})
        self.run = new_run(self.flow.compiled, self.shapes, bound, key="the run", queue=QUEUE, keep_ms=3_600_000)
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._helpers: dict[str, Executor] = {}
        self._names = count(1)
        self._outcomes: dict[str, str] = {}
        self._keys: Snapshot = {}
        self._later_ms = 0

    # What actors do.

    async def start_run(self, name: str) -> None:
        """Be the process that starts the run."""
        talk = start_run(self.run, self.shapes, StoredPlans(), one_server=self.one_server)
        await ahold(self._client(name), talk)

    async def work(self, name: str) -> None:
        """Be a worker until a turn finds nothing to do."""
        client = self._client(name)
        quarantine = Quarantine(client, self.served)
        slots = SlotTurns(client, self.served, LEASE_MS, quarantine)
        turns: Turns = OneServerTurns(client, self.served, LEASE_MS, quarantine, slots) if self.one_server else slots
        finished: list[Finished] = []

        def done(claimed: Claimed, ending: Ending) -> None:
            finished.append(Finished(claimed, ending))

        executor = self._helpers[name] = Executor(client, self.served, Processes(()), done=done, freed=lambda: None)
        while True:
            batch = finished.copy()
            turned = await turns.take(batch, self.shapes_queues, self.room)
            finished[: len(batch)] = [*turned.owed, *turned.troubled]
            for claimed in turned.jobs:
                executor.begin(claimed)
            if not (turned.jobs or finished):
                return
            while executor.running:  # noqa: ASYNC110 - settle() counts the loop's own steps
                await asyncio.sleep(0)

    async def repair(self, name: str) -> None:
        """Be a janitor that finds the run standing still."""
        client = self._client(name)
        raw = await client.run(view(self.run.id))
        if raw.meta.get("status") == "running":
            await ahold(client, reissue(RunHead(self.run.id, self.flow.name, self.run.plan), self.shapes))

    async def cancel_and_retry(self, name: str) -> None:
        """Be somebody who cancels the run and then thinks better of it."""
        client, handle = self._client(name), self.handle()
        if (await client.run(view(self.run.id))).meta:
            await ahold(client, handle._cancel())
            await ahold(client, handle._retry())

    @property
    def shapes_queues(self) -> Sequence[str]:
        return sorted(self.shapes.queues)

    def _client(self, actor: str) -> AsyncOmniqClient:
        client = AsyncOmniqClient(redis=Stepped(self, actor))
        client._fit = True
        return client

    # What the driver does.

    async def ask(self, actor: str, words: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Let a command wait for the driver."""
        call = Call(actor, words, options, asyncio.get_running_loop().create_future())
        self.pending.append(call)
        return await call.answer

    def new_worker(self) -> None:
        """Let another worker begin."""
        self._let("worker", self.work)

    def new_starter(self) -> None:
        """Let a process start the run, or start it again."""
        self._let("starter", self.start_run)

    def new_janitor(self) -> None:
        """Let a janitor look after the run."""
        self._let("janitor", self.repair)

    def new_canceller(self) -> None:
        """Let somebody cancel the run and retry it."""
        self.cancelled = True
        self._let("canceller", self.cancel_and_retry)

    def _let(self, what: str, doing: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        name = f"{what} {next(self._names)}"
        self._tasks[name] = asyncio.ensure_future(doing(name))

    async def settle(self) -> None:
        """Wait until every actor waits for an answer or is done; raises what an actor raised."""
        quiet = 0
        while quiet < SPINS:
            before = len(self.pending)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self.pending) == before else 0
        for name, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[name]
                if not task.cancelled():
                    task.result()

    def go(self, call: Call, *, times: int = 1, answered: bool = True) -> None:
        """Send a command, so often, and hand its actor the last answer, or none."""
        self.pending.remove(call)
        result: Any = None
        for _ in range(times):
            result = self._execute(call.words, call.options, call.actor)
        if answered:
            if isinstance(result, redis.ResponseError):
                call.answer.set_exception(result)
            else:
                call.answer.set_result(result)

    async def kill(self, actor: str) -> None:
        """End an actor here and now; what it was going to send is never sent."""
        self.story.append(f"{actor} dies")
        task = self._tasks.pop(actor)
        executor = self._helpers.pop(actor, None)
        tasks = [task, *(executor._tasks if executor else ())]
        if executor:
            executor._closing = True
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.pending = [call for call in self.pending if call.actor != actor]

    def again(self, which: int) -> None:
        """Send an earlier command once more; nobody hears the answer."""
        scripts = [words for words in self.sent if words[0] == "EVALSHA"]
        if scripts:
            self._execute(scripts[which % len(scripts)], {}, "late")

    def let_time_pass(self) -> None:
        """Let every lease run out and every delay be over. The workers live on, and do not know."""
        self.story.append("time passes")
        self._later_ms += 1000 * LEASE_MS
        now_ms = int(self.redis.time()[0]) * 1000 + self._later_ms
        for queue in self.shapes_queues:
            self.client.reap_expired(queue=queue, now_ms_override=now_ms)
            self.client.promote_delayed(queue=queue, now_ms_override=now_ms + 1000 * LEASE_MS)
        self._check()

    async def finish(self, *, janitor: bool = True) -> None:
        """Let it all come to its end without further faults: the run must have ended then."""
        for _ in range(ROUNDS):
            await self.settle()
            while self.pending:
                self.go(self.pending[0])
                await self.settle()
            if self.status() not in {"running", "", *(["cancelled"] if self.cancelled else ())} and not self.jobs():
                return
            self.let_time_pass()
            if not self.status():
                self.new_starter()
            if self.status() == "cancelled":
                self.new_canceller()
            if janitor:
                self.new_janitor()
            await self.settle()
            while self.pending:
                self.go(self.pending[0])
                await self.settle()
            self.new_worker()
        raise AssertionError(f"the run does not end: {self.view()}, jobs {self.jobs()}")

    async def end_all(self) -> None:
        """End what is left of all actors."""
        for actor in list(self._tasks):
            await self.kill(actor)

    # What is there.

    def status(self) -> str:
        """Return the run's status, empty before it exists."""
        return self.view().meta.get("status", "")

    def view(self) -> View:
        """Return the run's raw state."""
        return self.client.run(view(self.run.id))

    def jobs(self) -> list[Any]:
        """Return the jobs that wait, run or are delayed."""
        lanes = [f"{{{queue}}}:{lane}" for queue in self.shapes_queues for lane in ("idx:wait", "active", "delayed")]
        return [job for lane in lanes for job in self.redis.zrange(lane, 0, -1)]

    def result(self) -> Any:
        """Return the value of the run, as its handle gives it."""
        handle = self.handle()
        return handle._decode(hold(self.client, handle._outcome()))

    def handle(self) -> Run[Any]:
        """Return a handle of the run, to hold its talks with."""
        session = Session("unix:///nowhere", one_server=self.one_server)
        return Run(self.run.id, session, decode=self.flow.compiled.returns.decode, shapes_of=lambda _queue: self.shapes)

    def _execute(self, words: tuple[Any, ...], options: dict[str, Any], actor: str) -> Any:
        self.sent.append(words)
        self.story.append(f"{actor}: {Call(actor, words, options, None).name}")  # type: ignore[arg-type]
        try:
            return self.redis.execute_command(*words, **options)  # type: ignore[no-untyped-call]
        except NoScriptError:
            raise
        except redis.ResponseError as error:
            return error
        finally:
            self._check(_finishes(words))

    def _check(self, finishes: Sequence[dict[str, Any]] = ()) -> None:
        """What must hold at every instant; see run_predicates."""
        try:
            before, self._keys = self._keys, snapshot(self.redis)
            keys = self._keys
            if len({(finish["n"], finish["i"]) for finish in finishes}) == len(finishes):
                for finish in finishes:
                    check_stale(before, keys, self.run.id, finish)
            now = outcomes_of(keys, self.run.id)
            for place, body in self._outcomes.items():
                assert now.get(place) == body, f"outcome {place} has changed from {body!r} to {now.get(place)!r}"
            self._outcomes = now
            check_step(before, keys, self.run.id)
            check_state(keys, self.run.id, self.shapes)
        except AssertionError as error:
            story = "\n  ".join(self.story)
            raise AssertionError(f"{error}\nafter:\n  {story}") from error


def _finishes(words: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return the ends of attempts that a call brings, as lib/run_record.lua reads them."""
    if words[0] != "EVALSHA":
        return []
    if words[1] == script("run_record").sha:
        return [msgspec.msgpack.decode(words[5])]
    if words[1] == script("turn").sha:
        return [finish["finish"] for finish in msgspec.msgpack.decode(words[7])["finishes"] if "finish" in finish]
    return []


def in_a_loop(doing: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on a loop of its own."""

    async def run() -> None:
        await doing()

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
