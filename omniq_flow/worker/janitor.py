"""Finds runs that do not move and puts back what they lack."""

from __future__ import annotations

import logging
import random

from omniq_flow.errors import SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.index import live_page, take_janitor_turn, trim_ended
from omniq_flow.runtime.keys import SHARDS
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.starting import list_ended, list_run
from omniq_flow.runtime.state import head_of
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.duty import Duty
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

PAGE = 100
LATER = 0.1


class Janitor(Duty):
    """Walks the live runs, one page of a shard a round, by turns with the janitors of other workers.

    A run that has not moved for a round is asked which jobs it must have; those that are in no queue are enqueued again, under
    the same ids. On a healthy store it writes nothing but its turn.
    """

    def __init__(self, client: AsyncOmniqClient, served: Served, quarantine: Quarantine, every_s: float, worker: str) -> None:
        super().__init__()
        self._client, self._served, self._quarantine = client, served, quarantine
        self._every_s, self._worker = every_s, worker
        self._shard, self._after = 0, ""
        self._random = random.Random()  # noqa: S311  # who comes first, no secret

    async def round(self) -> float:
        """Look after the next page of live runs, if it is this worker's turn."""
        taken_ms = await self._client.run(take_janitor_turn(self._worker, int(self._every_s * 1000)))
        if taken_ms:
            return taken_ms / 1000 + self._random.uniform(0, LATER / 2) * self._every_s
        for _ in range(SHARDS):
            page = await self._client.run(live_page(self._shard, self._after, PAGE))
            for run_id in page:
                await self._look_after(run_id)
            if len(page) == PAGE:
                self._after = page[-1]
                break
            await self._client.run(trim_ended(self._shard))
            self._shard, self._after = (self._shard + 1) % SHARDS, ""
        # Whoever had the turn comes after those that wait for it: each serves flows that the others may not have.
        return self._every_s * (1 + LATER)

    async def _look_after(self, run_id: str) -> None:
        try:
            await self._move(run_id)
        except SetupError as error:
            if passes(error):
                raise
            await self._quarantine.isolate(run_id, error)

    async def _move(self, run_id: str) -> None:
        raw = await self._client.run(view(run_id))
        if not raw.meta:
            await self._client.run(list_run(run_id, "gone"))
            return
        head = head_of(run_id, raw)
        if head.status != "running":
            await ahold(self._client, list_ended(run_id, raw))
            return
        still_s = (raw.now_ms - head.updated_ms) / 1000
        if head.plan not in self._served.plans or still_s < self._every_s:
            return
        shapes = self._served.shapes(head.plan, head.queue)
        missing = await ahold(self._client, reissue(RunHead(run_id, head.flow, head.plan), shapes))
        if missing > 0:
            log.warning("run %s had not moved for %.0f s: %d jobs were missing and are enqueued again", run_id, still_s, missing)
