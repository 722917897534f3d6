"""Brings delayed jobs back when they are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.worker.duty import Duty, is_sharded

SLOWEST_S = 60.0
BATCH = 1000


class Timers(Duty):
    """Promotes delayed jobs; sleeps until the earliest one that a turn has seen is due, and looks by itself now and then.

    Turns tell how long it is until then, by the server's clock; here only a stopwatch runs, so no clock of this machine decides.
    """

    def __init__(self, client: AsyncOmniqClient, queues: Sequence[str], promoted: Callable[[], None]) -> None:
        super().__init__()
        self._client, self._queues, self._promoted = client, queues, promoted
        self._due: float | None = None
        self._look_at = 0.0

    def note(self, rest_ms: int) -> None:
        """Take note of how long it is until the earliest due time that a turn has seen (milliseconds, -1 for none)."""
        before = self._due
        self._due = None if rest_ms < 0 else time.monotonic() + rest_ms / 1000
        if self._due is not None and (before is None or self._due < before):
            self.nudge()

    async def round(self) -> float:
        """Promote what is due."""
        rest = min(self._look_at, self._look_at if self._due is None else self._due) - time.monotonic()
        if rest > 0:
            return rest + 0.001
        self._due, self._look_at = None, time.monotonic() + SLOWEST_S
        await self.for_each(self._queues, self._promote, sharded=is_sharded(self._client))
        return 0.0

    async def _promote(self, queue: str) -> None:
        count = await self._client.promote_delayed(queue=queue, max_promote=BATCH)
        if count:
            self._promoted()
        if count >= BATCH:
            self._look_at = 0.0
