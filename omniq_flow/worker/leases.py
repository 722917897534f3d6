"""Keeps the leases of running attempts: one call per queue renews them all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from omniq_flow.errors import ServerUnreachable
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.duty import Duty

log = logging.getLogger("omniq_flow.worker")

LEAST_PATIENCE_S = 1.0
LEAST_PAUSE_S = 0.1


class Leases(Duty):
    """Renews all leases three times within a lease; those of one queue whatever becomes of the others.

    A lease that is lost belongs to another worker by now: what this one still records for it is refused by its stale token. ``lost`` is
    called with its job.
    """

    def __init__(
        self, client: AsyncOmniqClient, running: Callable[[], Sequence[Claimed]], lease_ms: int, lost: Callable[[str], None]
    ) -> None:
        # However long the server was away, what is held is renewed soon after, before others take it for a dead worker's.
        super().__init__(max(LEAST_PAUSE_S, lease_ms / 6000))
        self._client, self._running, self._lease_ms, self._tell = client, running, lease_ms, lost
        # What is mute for longer must not delay the next round, in which the others are due again.
        self._patience_s = max(LEAST_PATIENCE_S, lease_ms / 3000)
        self._renewed: dict[str, float] = {}
        self._lost: set[str] = set()
        self._told: set[str] = set()

    async def round(self) -> float:
        """Renew all leases that are held."""
        held = self._held()
        lost: set[str] = set()

        async def renew(queue: str) -> None:
            lost.update(await self._renew(queue, held[queue]))

        troubles = await asyncio.gather(*(self.for_each([queue], renew) for queue in held), return_exceptions=True)
        # Lost twice running: the first time it may just have been acked, by a turn whose reply is still on its way.
        surely = lost & self._lost
        for job in surely - self._told:
            log.warning("%s: its lease ran out while it was running here; another worker takes it over", job)
            self._tell(job)
        self._lost, self._told = lost, surely
        for trouble in troubles:
            if trouble is not None:
                raise trouble
        return self._lease_ms / 3000

    async def catch_up(self, queue: str) -> None:
        """Renew the leases of a queue if that is overdue, as after an outage, or when this process was stopped for a while."""
        leases = self._held().get(queue)
        # By the clock on the wall, which goes on while a machine sleeps.
        if leases and not 0 <= time.time() - self._renewed.get(queue, 0) < self._lease_ms / 2000:
            await self._renew(queue, leases)

    def _held(self) -> dict[str, list[tuple[str, str]]]:
        """Return jobs and lease tokens by queue."""
        held: dict[str, list[tuple[str, str]]] = {}
        for claimed in self._running():
            held.setdefault(claimed.queue, []).append((claimed.job, claimed.attempt.token))
        return held

    async def _renew(self, queue: str, leases: Sequence[tuple[str, str]]) -> list[str]:
        """Renew the leases of a queue; returns the jobs whose lease is lost, all of them where this worker has claimed a job again."""
        lost: list[str] = []
        began = time.time()
        try:
            async with asyncio.timeout(self._patience_s):
                for at in range(0, len(leases), 1000):
                    lost += await self._client.heartbeat_many(queue=queue, leases=leases[at : at + 1000], lease_ms=self._lease_ms)
        except TimeoutError:
            raise ServerUnreachable(f"the leases of queue {queue} could not be renewed within {self._patience_s:g} s") from None
        self._renewed[queue] = began
        held = Counter(job for job, _ in leases)
        return [job for job, count in Counter(lost).items() if count == held[job]]
