"""Finds runs that do not move and puts back what they lack."""

from __future__ import annotations

import logging

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.index import live_page, take_janitor_turn
from omniq_flow.runtime.keys import SHARDS
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.starting import list_run
from omniq_flow.runtime.state import head_of
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.duty import Duty
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

PAGE = 100


class Janitor(Duty):
    """Walks the live runs, one page of a shard a round, by turns with the janitors of other workers.

    A run that has not moved for a round is asked which jobs it must have; those that are in no queue are enqueued again, under
    the same ids. On a healthy store it writes nothing but its turn.
    """

    def __init__(self, client: AsyncOmniqClient, served: Served, every_s: float, worker: str) -> None:
        super().__init__()
        self._client, self._served, self._every_s, self._worker = client, served, every_s, worker
        self._shard, self._after = 0, ""
        self.repaired = 0

    async def round(self) -> float:
        if not await self._client.run(take_janitor_turn(self._worker, int(self._every_s * 1000))):
            return self._every_s
        for _ in range(SHARDS):
            page = await self._client.run(live_page(self._shard, self._after, PAGE))
            for run_id in page:
                await self._look_after(run_id)
            if len(page) == PAGE:
                self._after = page[-1]
                break
            self._shard, self._after = (self._shard + 1) % SHARDS, ""
        return self._every_s

    async def _look_after(self, run_id: str) -> None:
        raw = await self._client.run(view(run_id))
        if not raw.meta:
            await self._client.run(list_run(run_id, "gone"))
            return
        head = head_of(run_id, raw)
        if head.status != "running":
            expires_ms = (head.ended_ms or head.updated_ms) + int(raw.meta["keep_ms"])
            await self._client.run(list_run(run_id, "ended", expires_ms=expires_ms))
            return
        still_s = (raw.now_ms - head.updated_ms) / 1000
        if head.plan not in self._served.plans or still_s < self._every_s:
            return
        shapes = self._served.shapes(head.plan, head.queue)
        missing = await ahold(self._client, reissue(RunHead(run_id, head.flow, head.plan), shapes))
        if missing > 0:
            self.repaired += missing
            log.warning("run %s had not moved for %.0f s: %d jobs were missing and are enqueued again", run_id, still_s, missing)


