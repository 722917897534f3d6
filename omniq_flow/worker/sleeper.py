"""Sleeps until a job is enqueued: a blocking pop on the wake-up keys of the queues, in a cluster one for each slot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from redis.asyncio import RedisCluster

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import wake_key
from omniq_flow.queue.translation import SERVER_ERRORS
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
        self._keys = [wake_key(queue) for queue in queues]
        self.idle = asyncio.Event()

    async def round(self) -> float:
        """Wait until idle, then for a token or POLL_S."""
        await self.idle.wait()
        try:
            await self._listen()
        except SERVER_ERRORS as error:
            # The turn that follows meets the same trouble and reports it; here it only must not become a hot loop.
            log.debug("sleeper: %s", error)
            await asyncio.sleep(POLL_S)
        self.idle.clear()
        self._wake()
        return 0.0

    async def _listen(self) -> None:
        """Return when a token was popped or POLL_S went by.

        Pops in several slots are several commands. When one has its token the others are cut off: what they have popped just then is seen
        by the turn that follows, which looks into all queues.
        """
        pops = [asyncio.ensure_future(self._client.redis.blpop(keys, timeout=POLL_S)) for keys in self._by_slot()]
        try:
            done, _ = await asyncio.wait(pops, return_when=asyncio.FIRST_COMPLETED)
            for pop in done:
                pop.result()
        finally:
            for pop in pops:
                pop.cancel()
            await asyncio.gather(*pops, return_exceptions=True)

    def _by_slot(self) -> Collection[list[str]]:
        client = self._client.redis
        if not isinstance(client, RedisCluster):
            return [self._keys]
        found: dict[int, list[str]] = {}
        for key in self._keys:
            found.setdefault(client.keyslot(key), []).append(key)
        return found.values()
