"""Keeps the leases of running attempts: one call per queue renews them all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.duty import Duty

log = logging.getLogger("omniq_flow.worker")


class Leases(Duty):
    """Renews all leases three times within a lease.

    A lease that is lost belongs to another worker by now: what this one still records for it is refused by its stale token.
    """

    def __init__(self, client: AsyncOmniqClient, running: Callable[[], Sequence[Claimed]], lease_ms: int) -> None:
        super().__init__()
        self._client, self._running, self._lease_ms = client, running, lease_ms
        self._lost: set[str] = set()
        self._told: set[str] = set()

    async def round(self) -> float:
        """Renew all leases that are held."""
        held: dict[str, list[tuple[str, str]]] = {}
        for claimed in self._running():
            held.setdefault(claimed.queue, []).append((claimed.job, claimed.attempt.token))
        lost: set[str] = set()
        for queue, leases in held.items():
            for at in range(0, len(leases), 1000):
                lost.update(await self._client.heartbeat_many(queue=queue, leases=leases[at : at + 1000], lease_ms=self._lease_ms))
        # Lost twice running: the first time it may just have been acked, by a turn whose reply is still on its way.
        surely = lost & self._lost
        for job in surely - self._told:
            log.warning("%s: its lease ran out while it was running here; another worker takes it over", job)
        self._lost, self._told = lost, surely
        return self._lease_ms / 3000
