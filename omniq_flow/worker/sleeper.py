"""Sleeps until a job is enqueued: blocking pops on the wake-up keys of the queues, in a cluster one for each slot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from redis.asyncio import RedisCluster

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import wake_key
from omniq_flow.queue.translation import SERVER_ERRORS
from omniq_flow.queue.wake_up import LONGEST_S, AsyncSleeper
from omniq_flow.worker.duty import Duty

log = logging.getLogger("omniq_flow.worker")

POLL_S = 1.95


class Sleeper(Duty):
    """Waits for a wake-up token while the worker has room and knows of no job (``idle``), and calls ``wake``.

    It calls ``wake`` also when ``POLL_S`` seconds went by: a token may be lost with the worker that took it, and clients of other
    makes leave none. A pop goes on meanwhile, so that an idle worker asks for little; a worker without room cuts it off, for it must not
    take another one's wake-up.
    """

    def __init__(self, client: AsyncOmniqClient, queues: Sequence[str], wake: Callable[[], None]) -> None:
        super().__init__()
        self._client, self._queues, self._wake = client, queues, wake
        self._sleepers: list[AsyncSleeper] = []
        self._pops: dict[AsyncSleeper, asyncio.Task[bool]] = {}
        self._cut_off: set[asyncio.Task[bool]] = set()
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
        if self.idle.is_set():
            self.idle.clear()
            self._wake()
        return 0.0

    def cut(self) -> None:
        """Sleep no more: what is popped just then is seen by others when they look by themselves."""
        self.idle.clear()
        for pop in self._pops.values():
            pop.cancel()
            self._cut_off.add(pop)
            pop.add_done_callback(self._over)
        self._pops.clear()

    async def stop(self) -> None:
        """End the duty and close its connections."""
        await super().stop()
        self.cut()
        await asyncio.gather(*self._cut_off, return_exceptions=True)
        for sleeper in self._sleepers:
            await sleeper.aclose()
        self._sleepers.clear()

    async def _listen(self) -> None:
        """Return when a token was popped, POLL_S went by, or the pops were cut off."""
        loop = asyncio.get_running_loop()
        until = loop.time() + POLL_S
        while self.idle.is_set() and (rest := until - loop.time()) > 0:
            for sleeper in self._awake():
                self._pops[sleeper] = asyncio.create_task(sleeper.pop(LONGEST_S), name="omniq_flow pop")
            done, _ = await asyncio.wait(self._pops.values(), timeout=rest, return_when=asyncio.FIRST_COMPLETED)
            ended = [sleeper for sleeper, pop in self._pops.items() if pop in done]
            tokens = [self._pops.pop(sleeper).result() for sleeper in ended]
            if any(tokens):
                return

    def _awake(self) -> list[AsyncSleeper]:
        """Return those that do not pop; made when first needed, for only then it is known whether the server is a cluster."""
        if not self._sleepers:
            self._sleepers = [AsyncSleeper(self._client.redis, queues) for queues in self._by_slot()]
        return [sleeper for sleeper in self._sleepers if sleeper not in self._pops]

    def _by_slot(self) -> list[list[str]]:
        client = self._client.redis
        if not isinstance(client, RedisCluster):
            return [list(self._queues)]
        found: dict[int, list[str]] = {}
        for queue in self._queues:
            found.setdefault(client.keyslot(wake_key(queue)), []).append(queue)
        return list(found.values())

    def _over(self, pop: asyncio.Task[bool]) -> None:
        self._cut_off.discard(pop)
        if not pop.cancelled() and (error := pop.exception()):
            log.debug("sleeper: %s", error)
