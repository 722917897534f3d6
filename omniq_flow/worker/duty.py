"""The contract of every background duty of a worker: start, a round now and then, stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from redis.asyncio import RedisCluster

from omniq_flow.errors import ServerRefused, ServerUnreachable, SetupError
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.cancelling import cut_off
from omniq_flow.queue.translation import passes

log = logging.getLogger("omniq_flow.worker")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


def is_sharded(client: AsyncOmniqClient) -> bool:
    """Tell whether slots may be in trouble each for itself, once the client has met its server."""
    return isinstance(client.redis, RedisCluster)


class Duty:
    """Something that a worker does besides its turns, again and again until it is stopped.

    A subclass gives ``round``, which does the duty once and returns the seconds until the next time. A server that cannot be
    reached, or refuses, costs a pause that grows up to ``longest_pause_s`` and a line in the log, never the duty.
    """

    def __init__(self, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._longest_pause_s = longest_pause_s
        self._task: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._stopped = False

    @property
    def name(self) -> str:
        """What the log calls this duty."""
        return type(self).__name__.lower()

    async def round(self) -> float:
        """Do the duty once; return the seconds to pause."""
        raise NotImplementedError

    async def for_each(self, names: Sequence[str], do: Callable[[str], Awaitable[None]], *, sharded: bool = False) -> None:
        """Do something on each queue or run; one that is refused for a reason that stays (a damaged key) is left out, and the log says so.

        What passes is raised after the last one; so is a server that cannot be reached where things are ``sharded``: the trouble of one
        primary is not that of the others.
        """
        passing: ServerRefused | ServerUnreachable | None = None
        for name in names:
            try:
                await do(name)
            except ServerUnreachable as error:
                if not sharded:
                    raise
                passing = passing or error
            except ServerRefused as error:
                if passes(error):
                    passing = passing or error
                    continue
                log.error("%s leaves out %s: %s", self.name, name, error)  # noqa: TRY400  # no trace: the server's words say it
        if passing is not None:
            raise passing

    def start(self) -> None:
        """Begin with a round at once."""
        self._task = asyncio.create_task(self._go_on(), name=f"omniq_flow {self.name}")

    def nudge(self) -> None:
        """Let the next round come now, or right after the one that is going on."""
        self._nudge.set()

    async def stop(self) -> None:
        """End the duty; a round that is waiting for the server is cut off, which every operation survives."""
        self._stopped = True
        self._nudge.set()
        if self._task is not None:
            await cut_off(self._task)
            self._task = None

    async def _go_on(self) -> None:
        trouble = first = min(FIRST_PAUSE_S, self._longest_pause_s)
        # The flag besides the cancel: a cancel that arrives just when an await is done may be swallowed inside a library.
        while not self._stopped:
            self._nudge.clear()
            try:
                pause = await self.round()
                trouble = first
            except SetupError as error:
                log.warning("%s pauses %.1f s: %s", self.name, trouble, error)
                pause, trouble = trouble, min(trouble * 2, self._longest_pause_s)
            except Exception:
                log.exception("%s failed and goes on in %.1f s", self.name, trouble)
                pause, trouble = trouble, min(trouble * 2, self._longest_pause_s)
            if pause > 0 and not self._stopped:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._nudge.wait()
