"""Takes back the jobs of workers that died: their leases have run out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.worker.duty import Duty, is_sharded

log = logging.getLogger("omniq_flow.worker")

BATCH = 1000


class Reaper(Duty):
    """Reaps leases that ran out; whoever claims the job next sees in the run that its attempt crashed.

    ``catch_up`` is awaited for a queue first, and where it fails nothing is reaped there: after an outage, or when this process was
    stopped, this worker's own leases have run out too.
    """

    def __init__(
        self,
        client: AsyncOmniqClient,
        queues: Sequence[str],
        lease_ms: int,
        reaped: Callable[[], None],
        catch_up: Callable[[str], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._client, self._queues, self._reaped, self._catch_up = client, queues, reaped, catch_up
        self._most = 0
        self._pause = min(15.0, max(0.2, lease_ms / 4000))

    async def round(self) -> float:
        """Take back what ran out."""
        self._most = 0
        await self.for_each(self._queues, self._reap, sharded=is_sharded(self._client))
        if self._most:
            self._reaped()
        return 0.05 if self._most >= BATCH else self._pause

    async def _reap(self, queue: str) -> None:
        await self._catch_up(queue)
        count = await self._client.reap_expired(queue=queue, max_reap=BATCH)
        if count:
            log.warning("queue %s: %d leases ran out; their workers died or were blocked, the jobs go on elsewhere", queue, count)
            await self._client.promote_delayed(queue=queue, max_promote=BATCH)
        self._most = max(self._most, count)
