"""Sleeping until a job is announced: a blocking pop on the wake-up key of a queue, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import redis.asyncio as aio
from redis import BlockingConnectionPool, ConnectionPool, Redis

from omniq_flow.queue.cancelling import cut_off
from omniq_flow.queue.cluster import AsyncServer, SyncServer
from omniq_flow.queue.keys import wake_key
from omniq_flow.queue.translation import SERVER_ERRORS

LONGEST_S: Final = 15.0
_SLACK_S: Final = 5.0
_UNKNOWN_TIMEOUT_S: Final = 5.0


class Sleeper:
    """Sleeps for a blocking consumer.

    The token that it pops says only that there may be work: one that is lost with a consumer costs the others a poll's time.
    """

    def __init__(self, client: SyncServer, queue: str) -> None:
        self._key = wake_key(queue)
        self._own: Redis | None = None
        if isinstance(client, Redis):
            pool = client.connection_pool
            if type(pool) in {ConnectionPool, BlockingConnectionPool}:
                self._own = Redis.from_pool(ConnectionPool(connection_class=pool.connection_class, **_patient(pool.connection_kwargs)))
        self._client = self._own or client
        self._longest_s = _longest(self._client.get_connection_kwargs())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._own:
            self._own.close()

    def sleep(self, seconds: float) -> bool:
        """Sleep until a job is announced, but not longer than this; False at once when the server cannot be asked.

        What is wrong with the server is not told here: the next look for jobs meets the same trouble.
        """
        try:
            self._client.blpop([self._key], timeout=min(seconds, self._longest_s))
        except SERVER_ERRORS:
            return False
        return True


class AsyncSleeper:
    """Sleeps on the loop of an asyncio consumer; on queues that share a slot, where there are several."""

    def __init__(self, client: AsyncServer, queues: Sequence[str]) -> None:
        self._keys = [wake_key(queue) for queue in queues]
        self._own: aio.Redis | None = None
        if isinstance(client, aio.Redis):
            pool = client.connection_pool
            if type(pool) in {aio.ConnectionPool, aio.BlockingConnectionPool}:
                self._own = aio.Redis.from_pool(
                    aio.ConnectionPool(connection_class=pool.connection_class, **_patient(pool.connection_kwargs))
                )
        self._client = self._own or client
        self._longest_s = _longest(self._client.get_connection_kwargs())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        if self._own:
            await self._own.aclose()

    async def sleep(self, seconds: float) -> bool:
        """Sleep until a job is announced, but not longer than this; False at once when the server cannot be asked."""
        try:
            await self.pop(seconds)
        except SERVER_ERRORS:
            return False
        return True

    async def pop(self, seconds: float) -> bool:
        """Sleep in the same way, and tell whether a job was announced; raises what the connection meets."""
        popping = asyncio.ensure_future(self._client.blpop(self._keys, timeout=min(seconds, self._longest_s)))
        try:
            await asyncio.wait([popping])
        finally:
            # A cancel that comes just when redis-py has connected or sent gets lost, and the pop would go on.
            await cut_off(popping)
        return popping.result() is not None


def _patient(options: dict[str, Any]) -> dict[str, Any]:
    """Return a connection's options with a timeout that no pop of ours reaches; one there is, so that a dead peer is noticed."""
    return options | {"socket_timeout": LONGEST_S + _SLACK_S}


def _longest(options: dict[str, Any]) -> float:
    """Return how long a pop may take before the connection gives up on it; Sentinel and cluster clients are used as they are."""
    given = options.get("socket_timeout", _UNKNOWN_TIMEOUT_S)
    return LONGEST_S if given is None else min(LONGEST_S, float(given) / 2)
