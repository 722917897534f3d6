"""Listening on channels from any number of tasks of one loop, over one connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from redis import ResponseError
from redis.asyncio import RedisCluster

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.cancelling import cancels_kept
from omniq_flow.queue.orphans import drop_connection
from omniq_flow.queue.translation import SERVER_ERRORS
from omniq_flow.runtime.channels import CLOSED_MEANWHILE, Channels, Command, Ear

TaskEar: TypeAlias = Ear[asyncio.Event]


class AsyncListener:
    """Tells tasks that there is a reason to look; without a connection it only lets time pass.

    The connection is made for the first one who waits, and kept for those to come. No task is made: one of those who wait reads. While
    one connects, which may take long, the others let time pass.
    """

    def __init__(self, client: AsyncOmniqClient) -> None:
        self._client = client
        self._sending = asyncio.Lock()
        self._channels: Channels[asyncio.Event] = Channels()
        self._connection: Any = None
        self._reading = self._connecting = self._lost = self._closed = False

    @asynccontextmanager
    async def ear(self, channel: str) -> AsyncGenerator[TaskEar]:
        """Listen on a channel inside of the block, from the first wait on."""
        ear = Ear(channel.encode(), asyncio.Event())
        self._channels.enter(ear)
        try:
            yield ear
        finally:
            command, connection = self._channels.leave(ear), self._connection
            if command and connection and not self._lost:
                async with self._sending:
                    # On a connection that was made meanwhile another one may have asked for the channel, anew.
                    if self._connection is connection and not self._lost:
                        await self._send(command)

    async def wait(self, ear: TaskEar, seconds: float) -> bool:
        """Wait until there is a reason to look, at most so long; tells whether there is one."""
        deadline = time.monotonic() + seconds
        ear.waits = True
        try:
            while not ear.told and (rest := deadline - time.monotonic()) > 0:
                if await self._heard(ear) and not self._reading:
                    await self._read(rest)
                elif not ear.told:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(rest):
                            await ear.bell.wait()
                    ear.bell.clear()
            return ear.told
        finally:
            ear.waits = ear.told = False
            if not self._reading:
                self._channels.heir()

    async def doubt(self, ear: TaskEar) -> None:
        """Take the connection for a dead one, if an end went unheard that the ear should have heard over it."""
        if self._channels.asked(ear):
            await self._lose()

    async def close(self) -> None:
        """Close the connection; who waits goes on without it."""
        self._closed = True
        await self._lose()

    def drop(self) -> None:
        """Close the connection when the loop is closed, and nobody waits any more."""
        if self._connection is not None:
            drop_connection(self._connection)
            self._connection = None

    async def _heard(self, ear: TaskEar) -> bool:
        """Have the ear's channel heard; False where that is not possible just now."""
        if not await self._connect(ear.channel):
            return False
        async with self._sending:
            if self._connection is None or self._lost or ear.told:
                return False
            if self._channels.unanswered(ear):
                await self._lose()
                return False
            command = self._channels.ask(ear)
            return command is None or await self._send(command)

    async def _connect(self, channel: bytes) -> bool:
        """Have a connection, which one task makes; False where there is none just now. Nobody waits for the one who makes it."""
        if self._lost or self._closed or self._connecting or self._channels.silent:
            return False
        if self._connection is not None:
            return True
        connection, wanted = None, False
        self._connecting = True
        try:
            with cancels_kept():
                connection = await _connected(self._client, channel)
            wanted = not self._closed
        except SERVER_ERRORS:
            self._channels.lost(refused=True)
        finally:
            self._connecting = False
            if wanted:
                self._connection = connection
                self._channels.wake()
            elif connection is not None:
                await connection.disconnect(nowait=True)
        return wanted

    async def _send(self, command: Command) -> bool:
        connection = self._connection
        try:
            with cancels_kept():
                await connection.send_command(*command, check_health=False)
        except (*SERVER_ERRORS, *CLOSED_MEANWHILE):
            await self._lose_it(connection)
        except BaseException:
            # Cut off in the middle, redis-py has closed the connection.
            await self._lose_it(connection)
            raise
        return self._connection is connection and not self._lost

    async def _read(self, seconds: float) -> None:
        reply: Sequence[bytes] | None = None
        lost = refused = False
        self._reading = True
        try:
            reply = await self._connection.read_response(timeout=seconds, disconnect_on_error=False)
        except SERVER_ERRORS as error:
            lost, refused = True, isinstance(error, ResponseError)
        except CLOSED_MEANWHILE:
            lost = True
        finally:
            self._reading = False
            if lost or self._lost:
                await self._lose(refused=refused)
            elif reply:
                self._channels.hear(reply)

    async def _lose_it(self, connection: Any) -> None:
        """Give a connection up if it is the one that there is; another one may have been made meanwhile."""
        if self._connection is connection:
            await self._lose()

    async def _lose(self, *, refused: bool = False) -> None:
        """Give the connection up. One that a task reads from is closed by that task."""
        self._channels.lost(refused=refused)
        self._lost = self._reading
        if self._connection is not None and not self._reading:
            connection, self._connection = self._connection, None
            with suppress(*SERVER_ERRORS):
                await connection.disconnect(nowait=True)


async def _connected(client: AsyncOmniqClient, channel: bytes) -> Any:
    """Return a connection of our own; in a cluster one to the node that serves the channel's slot, any other would do too."""
    redis: Any = client.redis
    pool = redis.nodes_manager.get_node_from_slot(redis.keyslot(channel)) if isinstance(redis, RedisCluster) else redis.connection_pool
    connection = pool.connection_class(**pool.connection_kwargs)
    await connection.connect()
    return connection
