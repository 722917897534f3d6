"""Tells which queues this worker serves, and with which plans, for those who wonder why a run does not move."""

from __future__ import annotations

from collections.abc import Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.presence import worker_here
from omniq_flow.worker.duty import Duty, is_sharded

BELIEVED_MS = 45_000


class Presence(Duty):
    """Renews the worker's entry in each of its queues, and takes it out when it stops."""

    def __init__(self, client: AsyncOmniqClient, queues: Sequence[str], worker: str, plans: Sequence[str]) -> None:
        super().__init__()
        self._client, self._queues, self._worker, self._plans = client, queues, worker, plans

    async def round(self) -> float:
        """Renew the entries."""
        await self._tell(BELIEVED_MS, self._plans)
        return BELIEVED_MS / 3000

    async def stop(self) -> None:
        """End the duty and leave; an entry that cannot be taken out ends by itself."""
        await super().stop()
        await self._tell(0, ())

    async def _tell(self, believed_ms: int, plans: Sequence[str]) -> None:
        async def tell(queue: str) -> None:
            await self._client.run(worker_here(queue, self._worker, believed_ms, plans))

        await self.for_each(self._queues, tell, sharded=is_sharded(self._client))
