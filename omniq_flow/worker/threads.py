"""Threads for steps that are plain functions."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

_Task: TypeAlias = "tuple[asyncio.Future[Any], contextvars.Context, Callable[[], Any]]"


class Threads:
    """As many threads as are needed, up to the callers at once; reused, and daemons.

    Not concurrent.futures: its threads are joined when Python exits, so one step that never returns would keep the process for ever.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._alive = 0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a function in a thread; the future belongs to the running loop. Abandoning it leaves the thread running to its end."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                self._alive += 1
                threading.Thread(target=self._work, name=f"omniq_flow step {self._alive}", daemon=True).start()
        self._tasks.put((future, contextvars.copy_context(), function))
        return future

    def close(self) -> None:
        """Let every thread end after what it is doing."""
        with self._lock:
            for _ in range(self._alive):
                self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, context, function = task
            try:
                result, error = context.run(function), None
            except BaseException as caught:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
                result, error = None, caught
            with self._lock:
                self._idle += 1
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: the worker is gone, and nobody waits for this step
            del future, context, function, task, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError(f"step raised {error!r}"))
    else:
        future.set_exception(error)
