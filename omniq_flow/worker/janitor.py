"""Finds runs that do not move and puts back what they lack."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence

from omniq_flow.doctor.strays import Position, list_strays, list_those
from omniq_flow.doctor.upkeep import Upkeep
from omniq_flow.errors import RunError, ServerRefused, SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.delivery import RunHead
from omniq_flow.runtime.index import Round, begin_round, live_page, take_janitor_turn, trim_ended
from omniq_flow.runtime.keys import SHARDS
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.reissue import reissue
from omniq_flow.runtime.starting import list_ended, list_run
from omniq_flow.runtime.state import Head, head_of
from omniq_flow.runtime.talk import ahold
from omniq_flow.worker.duty import Duty, is_sharded
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served

log = logging.getLogger("omniq_flow.worker")

PAGE = 100
QUEUES = 20
LATER = 0.1


class Janitor(Duty):
    """Walks the live runs, one page of a shard a round, by turns with the janitors of other workers.

    A run that has not moved for a round is looked into: if its data is damaged it is condemned, else it is asked which jobs it must have,
    and those that are in no lane are enqueued again, under the same ids. Its queues are looked after: what the doctor's rules find wrong
    with the next page of their jobs, with groups and counters, is mended. A thousand keys a round are walked for runs that no index lists.

    With ``one_server`` a round begins with one call, which is all of it where nothing runs. Else, and where the server refuses that call
    for a reason that stays, it goes slot by slot, and leaves out a shard whose index cannot be read.
    On a healthy store it writes nothing but its turn. What it mends is logged, and counted in ``repaired``.
    """

    def __init__(self, client: AsyncOmniqClient, served: Served, quarantine: Quarantine, every_s: float, worker: str) -> None:
        super().__init__()
        self.repaired: Counter[str] = Counter()
        self.one_server = False
        self._client, self._served, self._quarantine = client, served, quarantine
        self._every_s, self._worker = every_s, worker
        self._before, self._shard, self._after = Round(), 0, ""
        self._walk, self._upkeep = Position(), Upkeep()
        self._random = random.Random()  # noqa: S311  # who comes first, no secret

    async def round(self) -> float:
        """Look after the next page of live runs, if it is this worker's turn."""
        taken_ms = await (self._round() if self.one_server else self._round_slot_by_slot())
        if taken_ms:
            return taken_ms / 1000 + self._random.uniform(0, LATER / 2) * self._every_s
        # Whoever had the turn comes after those that wait for it: each serves flows that the others may not have.
        return self._every_s * (1 + LATER)

    async def _round(self) -> int:
        try:
            found = await self._client.run(begin_round(self._worker, int(self._every_s * 1000), self._before, PAGE))
        except ServerRefused as error:
            if passes(error):
                raise
            log.error("a janitor's round failed on the server and goes slot by slot: %s", error)  # noqa: TRY400  # no trace: the server's words say it
            return await self._round_slot_by_slot()
        if not found.taken_ms:
            self._before = found
            await self._look_after_all(found.live)
            self._tell_listed(await ahold(self._client, list_those(found.unlisted)))
        return found.taken_ms

    async def _round_slot_by_slot(self) -> int:
        taken_ms = await self._client.run(take_janitor_turn(self._worker, int(self._every_s * 1000)))
        if taken_ms:
            return taken_ms
        live: list[str] = []
        for _ in range(SHARDS):
            try:
                page = await self._client.run(live_page(self._shard, self._after, PAGE))
                live += page
                if len(page) == PAGE:
                    self._after = page[-1]
                    break
                await self._client.run(trim_ended(self._shard))
            except SetupError as error:
                # On one server what passes is the trouble of all shards.
                if passes(error) and not is_sharded(self._client):
                    raise
                log.error("janitor leaves out shard %d of the index of runs: %s", self._shard, error)  # noqa: TRY400  # no trace: the same
            self._shard, self._after = (self._shard + 1) % SHARDS, ""
        await self._look_after_all(live)
        self._walk, found = await ahold(self._client, list_strays(self._walk))
        self._tell_listed(found)
        return 0

    async def _look_after_all(self, live: Sequence[str]) -> None:
        queues: set[str] = set()
        sharded, trouble = is_sharded(self._client), None

        async def look_after(run_id: str) -> None:
            queues.update(await self._look_after(run_id))

        try:
            await self.for_each(live, look_after, sharded=sharded)
        except SetupError as error:
            if not sharded:
                raise
            trouble = error
        await self.for_each(self._random.sample(sorted(queues), min(QUEUES, len(queues))), self._keep_up, sharded=sharded)
        if trouble:
            raise trouble

    async def _look_after(self, run_id: str) -> frozenset[str]:
        """Look after a run; returns its queues if it stands still."""
        try:
            return await self._move(run_id)
        except (SetupError, RunError) as error:
            if passes(error):
                raise
            await self._isolate(run_id, error)
            return frozenset()

    async def _move(self, run_id: str) -> frozenset[str]:
        raw = await self._client.run(view(run_id))
        if not raw.meta:
            await self._client.run(list_run(run_id, "gone"))
            return frozenset()
        head = head_of(run_id, raw)
        if head.status != "running":
            await ahold(self._client, list_ended(run_id, raw))
            return frozenset()
        still_s = (raw.now_ms - head.updated_ms) / 1000
        if head.plan not in self._served.plans or still_s < self._every_s:
            return frozenset()
        return frozenset() if await self._damaged(head) else await self._issue(head, still_s)

    async def _damaged(self, head: Head) -> bool:
        damaged = await self._quarantine.condemn(head.id, head.plan)
        self._note("run condemned", damaged)
        return damaged

    async def _issue(self, head: Head, still_s: float) -> frozenset[str]:
        shapes = self._served.shapes(head.plan, head.queue)
        missing = await ahold(self._client, reissue(RunHead(head.id, head.plan), shapes))
        if missing > 0:
            self._note("job issued", missing)
            log.warning("run %s had not moved for %.0f s: %d jobs were missing and are enqueued again", head.id, still_s, missing)
        return shapes.queues

    async def _isolate(self, run_id: str, error: Exception) -> None:
        self._note("run condemned", await self._quarantine.isolate(run_id, error))

    def _note(self, what: str, count: int) -> None:
        if count:
            self.repaired[what] += count

    async def _keep_up(self, queue: str) -> None:
        mended = await ahold(self._client, self._upkeep.look_after(queue))
        if mended:
            self.repaired += mended
            told = ", ".join(f"{count} {name}" for name, count in sorted(mended.items()))
            log.warning("queue %s was damaged and is mended: %s", queue, told)

    def _tell_listed(self, found: Sequence[str]) -> None:
        self._note("run listed", len(found))
        for run_id in found:
            log.warning("run %s was running and no index listed it; it is listed again", run_id)
