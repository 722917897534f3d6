"""What has ended in a worker and the server was not told yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from omniq_flow.worker.attempt import Finished

BATCH = 64
BATCH_BYTES = 8 * 1024 * 1024
TROUBLE_S = 1.0


class Untold:
    """Jobs that are to be finished, in the order in which they ended; those that met trouble come again after TROUBLE_S.

    ``changed`` is called when there is something to tell.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._waiting: deque[Finished] = deque()
        self._troubled: list[Finished] = []

    def __len__(self) -> int:
        """How many may be told now."""
        return len(self._waiting)

    @property
    def all(self) -> list[Finished]:
        """What is to be told now or later; the leases of these are to be kept."""
        return [*self._waiting, *self._troubled]

    def add(self, job: Finished) -> None:
        """Take in a job that has ended."""
        self._waiting.append(job)
        self._changed()

    def take(self) -> list[Finished]:
        """Take out what the next turn finishes: as much as one call may carry, and at least one."""
        batch: list[Finished] = []
        size = 0
        while self._waiting and len(batch) < BATCH:
            size += self._waiting[0].size
            if batch and size > BATCH_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    def owe(self, jobs: Iterable[Finished]) -> None:
        """Take in what the very next turn has to finish."""
        self._waiting.extendleft(reversed(list(jobs)))

    def put_off(self, jobs: Iterable[Finished]) -> None:
        """Take in what met trouble."""
        if troubled := list(jobs):
            self._troubled += troubled
            asyncio.get_running_loop().call_later(TROUBLE_S, self._try_again)

    def _try_again(self) -> None:
        self._waiting += self._troubled
        self._troubled.clear()
        self._changed()
