"""Threads for steps that are plain functions."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

_Task: TypeAlias = "tuple[asyncio.Future[Any], contextvars.Context, Callable[[], Any]]"
_Result: TypeAlias = "tuple[asyncio.Future[Any], Any, BaseException | None]"


class Threads:
    """As many threads as are needed, up to the callers at once; reused, and daemons.

    A thread takes one task after the other and has another thread called as long as more are waiting: that one runs when the first one
    blocks, so that short tasks, however many, wake few threads, and long ones have as many as they need. Results go back to the loop
    together: when no task is waiting, and else by the thread that was called, when it has its turn.

    Not concurrent.futures: its threads are joined when Python exits, so one step that never returns would keep the process for ever.
    """

    def __init__(self) -> None:
        self._tasks: deque[_Task] = deque()
        self._results: deque[_Result] = deque()
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._alive = 0
        self._called = False
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run a function in a thread; the future belongs to the running loop. Abandoning it leaves the thread running to its end.

        Raises RuntimeError when there is no thread and the system gives none.
        """
        self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        self._tasks.append((future, contextvars.copy_context(), function))
        try:
            self._call()
        except RuntimeError:
            self._tasks.pop()  # there is no thread that could have taken it
            raise
        return future

    def close(self) -> None:
        """Let every thread end after what it is doing."""
        with self._lock:
            for _ in range(self._alive):
                self._calls.put(item=False)

    def _call(self) -> bool:
        """Have a thread on its way to the tasks; False when there is none to be had. Raises RuntimeError when there is none at all."""
        with self._lock:
            if self._called:
                return True
            if self._idle > 0:
                self._idle -= 1
                self._calls.put(item=True)
            else:
                try:
                    threading.Thread(target=self._work, name=f"omniq_flow step {self._alive + 1}", daemon=True).start()
                except RuntimeError:
                    if self._alive > 0:
                        return False
                    raise
                self._alive += 1
            self._called = True
            return True

    def _work(self) -> None:
        more = True
        try:
            while more:
                with self._lock:
                    self._called = False
                self._tell()
                while self._tasks:
                    self._take()
                with self._lock:
                    self._idle += 1
                self._tell()
                more = self._calls.get()
        except RuntimeError:
            return  # the loop is closed: the worker is gone, and nobody waits for this step

    def _take(self) -> None:
        try:
            future, context, function = self._tasks.popleft()
        except IndexError:
            return  # another thread was faster
        if not (self._tasks and self._call()):
            self._tell()  # nobody else will while this one takes its time
        try:
            self._results.append((future, context.run(function), None))
        except BaseException as error:  # noqa: BLE001  # whatever a step raises is its failure, also SystemExit
            self._results.append((future, None, error))

    def _tell(self) -> None:
        if self._results and not self._telling and self._loop:
            self._telling = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._telling = False
        while self._results:
            _settle(*self._results.popleft())


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError(f"step raised {error!r}"))
    else:
        future.set_exception(error)
