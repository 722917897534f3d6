"""Cancel a coroutine exactly where it waits for the nth time, as a timeout or a closing loop may."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


async def cancelled_at(work: Coroutine[Any, Any, Any], place: int) -> bool:
    """Run it in a task of its own and cancel that at its await number ``place`` (from 1); False when it ended before it got there.

    What it raises instead of being cancelled is raised here.
    """
    counted = _Counted(work, place)
    task = asyncio.ensure_future(_await(counted))
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return counted.reached


async def _await(counted: _Counted) -> Any:
    return await counted


class _Counted:
    def __init__(self, work: Coroutine[Any, Any, Any], place: int) -> None:
        self._work, self._place = work, place
        self.reached = False

    def __await__(self) -> Generator[Any, Any, Any]:
        awaits = 0
        error: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as done:
                return done.value
            awaits += 1
            if awaits == self._place:
                task = asyncio.current_task()
                assert task is not None
                self.reached = task.cancel()
            try:
                yield awaited
            except BaseException as caught:  # noqa: BLE001 - it is the coroutine's to deal with
                error = caught
            else:
                error = None
