"""Cancels that got lost: Python before 3.12 swallows one that comes just when ``asyncio.wait_for`` is done, as redis-py uses it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final

_AGAIN_S: Final = 0.02


async def cut_off(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, those that go on again and again, and return once all are done; what they raise is dropped."""
    while going := [task for task in tasks if not task.done()]:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


class cancels_kept:  # noqa: N801 - read as a statement: with cancels_kept(): ...
    """Raise a cancel that came inside the ``with`` block and was swallowed there, where the block ends well.

    Else whoever cancels would wait for a task that goes on: ``asyncio.timeout`` around it would never end.
    """

    __slots__ = ("_before", "_task")

    def __enter__(self) -> None:
        """Count the cancels so far."""
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is None and self._task and self._task.cancelling() > self._before:
            raise asyncio.CancelledError
