"""A store that loses keys while runs go on: one worker and the janitor, driven step by step on a real server."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import redis
from world_flows import SHAPES, executed

from omniq_flow import Run, Session
from omniq_flow.doctor import treat
from omniq_flow.runtime.operations import Ending
from omniq_flow.worker.attempt import Claimed, Finished
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turns

LEASE_MS: Final = 60_000
LATER_MS: Final = 10_000_000
ROUNDS: Final = 40
MOMENT_S: Final = 0.001


class DamagedStore:
    """Runs of some shapes, a worker that takes a turn when told to, and a janitor that finds every run standing still."""

    def __init__(self, session: Session, client: redis.Redis, shapes: list[str]) -> None:
        executed.clear()
        self.session, self.redis = session, client
        flows = [SHAPES[shape].flow for shape in dict.fromkeys(shapes)]
        aclient, self.served = session.aclient(), Served(flows, LEASE_MS)
        quarantine = Quarantine(aclient, self.served)
        slots = SlotTurns(aclient, self.served, LEASE_MS, quarantine)
        self._turns: Turns = OneServerTurns(aclient, self.served, LEASE_MS, quarantine, slots) if session.one_server else slots
        self._executor = Executor(aclient, self.served, Processes(()), done=self._done, freed=lambda: None)
        self.janitor = Janitor(aclient, self.served, quarantine, MOMENT_S, "the janitor")
        self._finished: list[Finished] = []
        self.queues = sorted(self.served.queues())
        self._later_ms = 0
        self.shapes = shapes
        self.runs: list[Run[Any]] = []

    async def start(self) -> None:
        """Start the runs."""
        for number, shape in enumerate(self.shapes):
            flow, arguments, _ = SHAPES[shape]
            self.runs.append(await flow.opts(key=f"run {number}").astart(*arguments))

    async def turn(self) -> bool:
        """Take a turn and run what it claimed; False when there was nothing to do."""
        batch = self._finished.copy()
        turned = await self._turns.take(batch, self.queues, 3)
        self._finished[: len(batch)] = [*turned.owed, *turned.troubled]
        for claimed in turned.jobs:
            self._executor.begin(claimed)
        while self._executor.running:  # noqa: ASYNC110 - the steps run on this loop
            await asyncio.sleep(0)
        return bool(turned.jobs or turned.owed or (batch and not turned.troubled))

    def forget(self) -> None:
        """Let the worker die: what it has done and not told is never told."""
        self._finished.clear()

    def keys(self, pattern: str) -> list[str]:
        """Return the keys that there are, in order."""
        found: Any = self.redis.keys(pattern)
        return sorted(key.decode() for key in found)

    async def look(self) -> None:
        """Let time pass for leases, delays and runs, then let the janitor have a round."""
        self._later_ms += LATER_MS
        now_ms = int(self.redis.time()[0]) * 1000 + self._later_ms
        for queue in self.queues:
            self.session.client.reap_expired(queue=queue, now_ms_override=now_ms)
            self.session.client.promote_delayed(queue=queue, now_ms_override=now_ms + LATER_MS)
        self.redis.delete("{janitor}:turn")
        await asyncio.sleep(2 * MOMENT_S)  # until every run has stood still for a round
        await self.janitor.round()

    async def drain(self) -> None:
        """Work until every run has ended, without further damage; it must come to that."""
        for _ in range(ROUNDS):
            while await self.turn():
                pass
            if all(self.status(run) not in {"running", ""} for run in self.runs):
                return
            await self.look()
        told = {run.id: self.status(run) for run in self.runs}
        raise AssertionError(f"runs do not end: {told}; the janitor mended {dict(self.janitor.repaired)}")

    def status(self, run: Run[Any]) -> str:
        """Return a run's status; "gone" when its head is not there, or cannot be read."""
        key = f"{{run:{run.id}}}:meta"
        if self.redis.type(key) != b"hash":
            return "gone"
        found: Any = self.redis.hget(key, "status")
        return found.decode() if found else "gone"

    def sound(self) -> None:
        """The store is healthy again, at the latest after one treatment."""
        treatment = treat(self.session.client, (), self.served.flows, still_ms=0)
        assert treatment.after.grave == (), [str(finding) for finding in treatment.after.grave]

    async def close(self) -> None:
        await self._executor.close()
        await self.session.aclose()

    def _done(self, claimed: Claimed, ending: Ending) -> None:
        self._finished.append(Finished(claimed, ending))
