"""Brings delayed jobs back when they are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.worker.duty import Duty

SLOWEST_S = 15.0
BATCH = 1000


class Timers(Duty):
    """Promotes delayed jobs; sleeps until the earliest one that a turn has seen is due, and looks by itself now and then.

    Due times are the server's; this machine's clock only decides how long to sleep, so a wrong one costs delay, not order.
    """

    def __init__(self, client: AsyncOmniqClient, queues: Sequence[str], promoted: Callable[[], None]) -> None:
        super().__init__()
        self._client, self._queues, self._promoted = client, queues, promoted
        self._next_due = 0

    def note(self, next_due_ms: int) -> None:
        """Take note of the earliest due time that a turn has seen (milliseconds, 0 for none)."""
        sooner = next_due_ms and (not self._next_due or next_due_ms < self._next_due)
        self._next_due = next_due_ms
        if sooner:
            self.nudge()

    async def round(self) -> float:
        rest = self._next_due / 1000 - time.time() if self._next_due else SLOWEST_S
        if rest > 0 and self._next_due:
            return min(rest + 0.001, SLOWEST_S)
        count = 0
        for queue in self._queues:
            count += await self._client.promote_delayed(queue=queue, max_promote=BATCH)
        self._next_due = 0
        if count:
            self._promoted()
        return 0.05 if count >= BATCH else SLOWEST_S
