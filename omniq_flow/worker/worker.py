"""The worker: where turns, executor and duties are put together."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from omniq_flow.compiler.plan import encode_plan
from omniq_flow.errors import SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.flow import Flow
from omniq_flow.runtime.operations import Ending, store_plan
from omniq_flow.runtime.session import Session
from omniq_flow.runtime.starting import PLAN_KEEP_MS
from omniq_flow.wire.names import check_name, check_number
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.duty import LONGEST_PAUSE_S, Duty
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.leases import Leases
from omniq_flow.worker.presence import Presence
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.reaper import Reaper
from omniq_flow.worker.rest import nothing_left
from omniq_flow.worker.served import Served
from omniq_flow.worker.sleeper import Sleeper
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.timers import Timers
from omniq_flow.worker.turns import OneServerTurns, Returned, Turned, Turns

log = logging.getLogger("omniq_flow.worker")

BATCH = 250


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works. Times are in seconds.

    ``concurrency`` is how many attempts run at once, ``queues`` which queues are served (those of the flows when empty), ``lease`` how
    long a silent worker is believed alive, ``janitor`` the pause between two looks at runs that do not move, ``burst`` whether to leave
    when nothing is left, ``drain`` how long running attempts may go on after a stop was asked for.
    """

    concurrency: int = 64
    queues: Sequence[str] = ()
    lease: float = 30.0
    janitor: float = 10.0
    burst: bool = False
    drain: float = 30.0
    modules: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_number(self.concurrency, "concurrency", 1, 100_000)
        check_number(round(self.lease * 1000), "lease (milliseconds)", 100, 86_400_000)
        check_number(round(self.janitor * 1000), "janitor (milliseconds)", 50, 86_400_000)
        check_number(round(self.drain * 1000), "drain (milliseconds)", 0, 86_400_000)
        for queue in self.queues:
            check_name(queue, "queue")


class Worker:
    """Serves flows on the running loop until it is stopped."""

    def __init__(self, session: Session, flows: Iterable[Flow[..., object]], options: WorkerOptions) -> None:
        lease_ms = round(options.lease * 1000)
        self.options = options
        self.name = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        self.served = Served(flows, lease_ms)
        self.queues = sorted(options.queues or self.served.queues())
        self._client: AsyncOmniqClient = session.aclient()
        self._processes = Processes(options.modules)
        self.executor = Executor(self._client, self.served, self._processes, self._done, self._stir)
        turns = OneServerTurns if session.one_server else SlotTurns
        self._turns: Turns = turns(self._client, self.served, lease_ms)
        self._sleeper = Sleeper(self._client, self.queues, self.wake)
        self._timers = Timers(self._client, self.queues, self.wake)
        self.janitor = Janitor(self._client, self.served, options.janitor, self.name)
        self._duties: tuple[Duty, ...] = (
            self._sleeper,
            self._timers,
            Reaper(self._client, self.queues, lease_ms, self.wake),
            Leases(self._client, lambda: self.executor.running, lease_ms),
            Presence(self._client, self.queues, self.name),
            self.janitor,
        )
        self._finished: list[Finished] = []
        self._stirred = asyncio.Event()
        self._hungry = True
        self._woken = False
        self._stopping = False
        self._turn = 0

    async def run(self) -> None:
        """Work until ``stop`` was called and what runs is done, or (burst) until nothing is left."""
        for flow in self.served.flows:
            await self._client.run(store_plan(flow.compiled.fingerprint, encode_plan(flow.compiled.plan), PLAN_KEEP_MS))
        for duty in self._duties:
            duty.start()
        log.info("worker %s serves %s on queue %s", self.name, ", ".join(flow.name for flow in self.served.flows), ", ".join(self.queues))
        try:
            await self._work()
        finally:
            await self._leave()

    def stop(self) -> None:
        """Claim nothing more and leave once what runs is done, at the latest after ``drain`` seconds."""
        if not self._stopping:
            self._stopping = True
            asyncio.get_running_loop().call_later(self.options.drain, self._stir)
            self._deadline = asyncio.get_running_loop().time() + self.options.drain
        self._stir()

    def wake(self) -> None:
        """Look for jobs now."""
        self._woken = self._hungry = True
        self._stir()

    async def _work(self) -> None:
        trouble = 0.1
        while not self._over():
            self._stirred.clear()
            room = 0 if self._stopping else max(0, min(BATCH, self.options.concurrency - self.executor.busy))
            batch = self._finished[:BATCH]
            if not batch and not (room and self._hungry):
                if await self._nothing_left():
                    return
                self._rest(room)
                await self._stirred.wait()
                continue
            self._woken = False
            try:
                turned = await self._turns.take(batch, self._turned_queues(), room)
            except SetupError as error:
                log.warning("no turn possible, again in %.1f s: %s", trouble, error)
                await asyncio.sleep(trouble)
                trouble = min(trouble * 2, LONGEST_PAUSE_S)
                continue
            trouble = 0.1
            self._follow(turned, batch, room)

    def _follow(self, turned: Turned, batch: Sequence[Finished], room: int) -> None:
        self._finished[: len(batch)] = turned.owed
        for claimed in turned.jobs:
            self.executor.begin(claimed)
        for one in turned.returned:
            self._tell(one)
        self._hungry = self._woken or (room > 0 and len(turned.jobs) >= room) or (room == 0 and bool(batch))
        self._timers.note(turned.next_due)

    def _rest(self, room: int) -> None:
        """Let the sleeper listen, but only with room for a job: a busy worker must not take another one's wake-up."""
        if room > 0 and not self._stopping:
            self._sleeper.idle.set()

    def _turned_queues(self) -> list[str]:
        """Return the queues, each first in its turn."""
        self._turn = (self._turn + 1) % len(self.queues)
        return self.queues[self._turn :] + self.queues[: self._turn]

    def _over(self) -> bool:
        if not self._stopping:
            return False
        settled = not self._finished and not self.executor.running
        return settled or asyncio.get_running_loop().time() >= self._deadline

    async def _nothing_left(self) -> bool:
        if not self.options.burst or self.executor.running or self._finished:
            return False
        return await nothing_left(self._client, self.queues)

    def _done(self, claimed: Claimed, ending: Ending) -> None:
        self._finished.append(Finished(claimed, ending))
        self._stir()

    def _stir(self) -> None:
        self._stirred.set()

    def _tell(self, one: Returned) -> None:
        if one.why == "PLAN":
            log.warning(
                "queue %s: %s belongs to plan %s, which the code here does not have (it has %s); given back to a worker that does",
                one.queue, one.job, one.plan, ", ".join(self.served.plans),
            )
        else:
            log.warning("queue %s: job %s is no job of a run; given back: let a consumer of its own serve another queue", one.queue, one.job)

    async def _leave(self) -> None:
        for duty in self._duties:
            try:
                await duty.stop()
            except SetupError as error:
                log.warning("%s: %s", duty.name, error)
        await self.executor.close()
        await self._processes.close()
        log.info("worker %s left", self.name)
