"""An event loop without sockets, threads and real time: what is ready runs in order, and timers run when there is nothing else to do."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

ENDLESS = 100_000
"""So many callbacks in a row without coming to rest are a loop that never will."""


class WorldLoop(asyncio.AbstractEventLoop):
    """The loop of a world: tasks, futures, timeouts and sleeps work as on any loop, and a second passes only when all else rests.

    What needs the operating system (sockets, threads that call back, processes) is not there and raises NotImplementedError.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[tuple[asyncio.Handle, Callable[..., object], tuple[Any, ...], Context]] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Callable[..., object], tuple[Any, ...], Context]] = []
        self._order = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []
        self.errors: list[BaseException] = []

    def rest(self) -> None:
        """Run all that is ready, and what becomes ready thereby, until every task waits for something."""
        with self._running():
            for _ in range(ENDLESS):
                if not self._ready:
                    return
                handle, callback, args, context = self._ready.popleft()
                if not handle.cancelled():
                    context.run(callback, *args)
        raise RuntimeError("the world does not come to rest: something on its loop never waits")

    def sleep_on(self) -> bool:
        """Let time pass until the next timer is due and run what follows from it; False when there is none."""
        while self._timers:
            when, _, handle, callback, args, context = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._now = max(self._now, when)
                self._ready.append((handle, callback, args, context))
                self.rest()
                return True
        return False

    def end(self) -> None:
        """Cancel every task and let it end; what does not let itself be cancelled is forgotten."""
        for task in [task for task in self._tasks if not task.done()]:
            task.cancel()
        self.rest()
        self._ready.clear()
        self._timers.clear()
        self._tasks.clear()

    @contextmanager
    def _running(self) -> Generator[None]:
        outer = asyncio._get_running_loop()  # noqa: SLF001  # made for those who write event loops
        asyncio._set_running_loop(self)  # noqa: SLF001  # see above
        try:
            yield
        finally:
            asyncio._set_running_loop(outer)  # noqa: SLF001  # see above

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Return the seconds that have passed in this world."""
        return self._now

    def call_soon(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        """Run a callback once what is ready now has run."""
        context = copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append((handle, callback, args, context))
        return handle

    def call_soon_threadsafe(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        """Run a callback once what is ready now has run; there is only one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback after so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a moment of this loop's time."""
        context = copy_context() if context is None else context
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), handle, callback, args, context))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        """Return a task of this loop."""
        task = asyncio.Task(coro, loop=self, **options)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        """Debug mode is off."""
        return False

    def is_running(self) -> bool:
        """Whether this loop runs a callback now."""
        return asyncio._get_running_loop() is self  # noqa: SLF001  # see above

    def is_closed(self) -> bool:
        """Tell that nothing of it needs closing."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an error that nobody heard of; the world raises it."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.errors.append(error)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave a cancelled timer in its place; it is passed over."""
