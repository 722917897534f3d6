"""Sleeps until a job is enqueued: one blocking pop on the wake-up keys of the queues."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.worker.duty import Duty

log = logging.getLogger("omniq_flow.worker")

POLL_S = 2


class Sleeper(Duty):
    """Waits for a wake-up token while the worker has room and knows of no job, and calls ``wake``.

    It calls ``wake`` also when ``POLL_S`` seconds went by: a token may be lost with the worker that took it, and clients of other
    makes leave none.
    """

    def __init__(self, client: AsyncOmniqClient, queues: Sequence[str], wake: Callable[[], None]) -> None:
        super().__init__()
        self._client, self._wake = client, wake
        self._keys = [queue_base(queue) + ":wake" for queue in queues]
        self.idle = asyncio.Event()

    async def round(self) -> float:
        """Wait until idle, then for a token or POLL_S."""
        await self.idle.wait()
        try:
            await self._client.redis.blpop(self._keys, timeout=POLL_S)
        except RedisError as error:
            # The turn that follows meets the same trouble and reports it; here it only must not become a hot loop.
            log.debug("sleeper: %s", error)
            await asyncio.sleep(POLL_S)
        self.idle.clear()
        self._wake()
        return 0.0
