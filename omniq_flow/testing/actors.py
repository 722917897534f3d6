"""Who acts in a world: workers, janitors, and processes that start, cancel or retry a run. They run the product's own code."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import Any, Protocol, Self

import redis
import redis.asyncio as aio

from omniq_flow.compiler.compiled import NodeCode
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.bulk import start_runs
from omniq_flow.runtime.operations import Ending, view
from omniq_flow.runtime.starting import StoredPlans, start_run
from omniq_flow.runtime.talk import ahold, ahold_many
from omniq_flow.testing.loop import WorldLoop
from omniq_flow.testing.stage import Stage
from omniq_flow.testing.store import Command
from omniq_flow.testing.surroundings import Surroundings, here
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.child import answer
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.processes import Processes, Question, RemoteError
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.recipe import Recipe
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turns

JANITOR_S = 10.0


class Scene(Protocol):
    """What actors find in their world."""

    loop: WorldLoop
    stage: Stage
    served: Served
    concurrency: int
    bulk: bool

    async def call(self, actor: Actor, words: Command, options: Mapping[str, Any]) -> Any:
        """Wait until the world sends a command, and return the reply."""

    async def step(self, actor: Actor, claimed: Claimed, code: NodeCode) -> None:
        """Wait until the world lets a step run."""


class Actor:
    """One process: its tasks, its machine, and what it has heard so far.

    ``heard`` is a digest of everything that reached it: equal digests under equal names are equal actors.
    """

    def __init__(self, scene: Scene, role: str, number: int) -> None:
        self.scene, self.role, self.number = scene, role, number
        self.name = f"{role} {number}"
        self.machine = Surroundings(self.name)
        self.heard = 0
        self.stopped = False
        self.dead = False
        self.executor: SteppedExecutor | None = None
        self.client = AsyncOmniqClient(redis=Stepped(self))
        self.client._fit = True  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the world chose the server; its checks are no part of the course

    def begin(self, doing: Callable[[Actor], Coroutine[Any, Any, None]]) -> None:
        """Let it do something, as a task that sees its machine."""
        context = copy_context()
        context.run(here.set, self.machine)
        self.task = self.scene.loop.create_task(doing(self), context=context)

    def leave(self) -> None:
        """Send nothing more, and take being cancelled for the end."""
        self.dead = True
        if self.executor is not None:
            self.executor.leave()

    def hear(self, what: object) -> None:
        """Note what reached it."""
        self.heard = hash((self.heard, what))

    @property
    def identity(self) -> int:
        """A number that tells this actor, as it is now, from what it was and from others."""
        return hash((self.name, self.heard, self.stopped, self.machine.skew_ms, self.machine.back_ms, self.machine.looks))


_TEMPLATE = aio.Redis()


class Stepped(aio.Redis):
    """A client whose commands go through the world instead of a socket."""

    def __init__(self, actor: Actor) -> None:
        vars(self).update(vars(_TEMPLATE))  # a client takes a millisecond to make, and all that differs is its actor
        self.actor = actor

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """Let a command wait until the world sends it."""
        return await self.actor.scene.call(self.actor, words, options)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:  # noqa: ARG002, FBT002  # as redis-py has it
        """Return a pipeline whose commands are points each: the server may do other things between any two."""
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
        answers: list[Any] = []
        for words in self._words:
            try:
                answers.append(await self._client.execute_command(*words))
            except redis.ResponseError as error:
                if raise_on_error:
                    raise
                answers.append(error)
        return answers


class SteppedExecutor(Executor):
    """An executor whose steps are points as well, and run on the world's thread: also those of threads and processes."""

    def __init__(self, actor: Actor, done: Callable[[Claimed, Ending], None]) -> None:
        super().__init__(actor.client, actor.scene.served, Processes(()), done=done, freed=lambda: None)
        self._actor = actor
        self._random = random.Random(actor.name)  # noqa: S311  # jitter, the same at each replay

    def leave(self) -> None:
        """Take the end of the world for no failure of the steps that run."""
        self._closing = True

    def _slice_is_over(self) -> bool:
        return False  # how fast the machine is must not change the course

    async def _call(self, claimed: Claimed, recipe: Recipe, values: Mapping[str, Any]) -> Any:
        code = recipe.code
        await self._actor.scene.step(self._actor, claimed, code)
        if code.options.executor == "process":
            encoded = {name: code.args[name].encode(value, name, None) for name, value in values.items()}
            flows = {flow.name: flow for flow in self._served.flows}
            answered = answer(flows, Question(recipe.flow, claimed.plan, claimed.attempt.node, encoded))
            if answered.result is None:
                raise RemoteError(answered)
            return answered.result
        if code.step.is_async:
            return await self._awaited(claimed, recipe, values)
        return code.step.invoke(values)


async def start(actor: Actor) -> None:
    """Be the process that starts the run."""
    scene, stage = actor.scene, actor.scene.stage
    if scene.bulk:
        wanted = [stage.run, stage.run]
        started = await ahold_many(actor.client, start_runs(wanted, stage.shapes, StoredPlans(), one_server=stage.one_server))
        if started.error:
            raise started.error
    else:
        await ahold(actor.client, start_run(stage.run, stage.shapes, StoredPlans(), one_server=stage.one_server))


async def work(actor: Actor) -> None:
    """Be a worker until a turn finds nothing to do."""
    scene = actor.scene
    quarantine = Quarantine(actor.client, scene.served)
    slots = SlotTurns(actor.client, scene.served, scene.stage.lease_ms, quarantine, hold=True)
    whole = OneServerTurns(actor.client, scene.served, scene.stage.lease_ms, quarantine, slots, hold=True)
    turns: Turns = whole if scene.stage.one_server else slots
    finished: list[Finished] = []
    suspect: Claimed | None = None
    alone = False
    stirred = asyncio.Event()

    def done(claimed: Claimed, ending: Ending) -> None:
        finished.append(Finished(claimed, ending))
        stirred.set()

    executor = actor.executor = SteppedExecutor(actor, done)
    hungry = True
    while True:
        batch = finished.copy()
        alone = alone and not batch
        room = 0 if suspect or alone else max(0, scene.concurrency - executor.busy)
        if batch or (room and hungry):
            turned = await turns.take(batch, scene.stage.queues, room)
            suspect = suspect or turned.suspect
            hungry = len(turned.jobs) >= room > 0 or (room == 0 and bool(batch))
        elif executor.running:
            stirred.clear()
            await stirred.wait()
            continue
        elif suspect:
            turned = await turns.begin(suspect)
            suspect, alone, hungry = None, bool(turned.jobs), True
        else:
            return
        finished[: len(batch)] = [*turned.owed, *turned.troubled]
        for claimed in turned.jobs:
            executor.begin(claimed)


async def keep_house(actor: Actor) -> None:
    """Be a janitor that goes once through all live runs."""
    scene = actor.scene
    janitor = Janitor(actor.client, scene.served, Quarantine(actor.client, scene.served), JANITOR_S, actor.name)
    janitor.one_server = scene.stage.one_server
    await janitor.round()


async def cancel_and_retry(actor: Actor) -> None:
    """Be somebody who cancels the run and then thinks better of it."""
    scene, client = actor.scene, actor.client
    if (await client.run(view(scene.stage.run.id))).meta:
        await ahold(client, scene.stage.handle()._cancel())  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the talk of acancel, over this actor's client
        await ahold(client, scene.stage.handle()._retry())  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the talk of aretry


DOING: Mapping[str, Callable[[Actor], Coroutine[Any, Any, None]]] = {
    "worker": work,
    "janitor": keep_house,
    "starter": start,
    "canceller": cancel_and_retry,
}
