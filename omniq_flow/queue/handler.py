"""The function that a consumer is given, and how it is called."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from omniq_flow.errors import InputError
from omniq_flow.queue.context import AsyncJobContext, JobContext
from omniq_flow.wire.names import shown

T = TypeVar("T")

PlainHandler: TypeAlias = Callable[[JobContext], object]
AsyncHandler: TypeAlias = Callable[[AsyncJobContext], Awaitable[object]]


def is_async(handler: object) -> bool:
    """Tell whether calling it makes a coroutine; raises InputError when it cannot be called."""
    if not callable(handler):
        raise InputError(f"handler must be callable with a job's context, not {shown(handler)}")
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def call(handler: PlainHandler, given: JobContext) -> None:
    """Call a plain handler; raises what it raises."""
    result = handler(given)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the handler returned a coroutine, which nobody runs: write it as async def, for an AsyncOmniqClient")


def in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function, which must not raise, in a thread; cancelling the future leaves the thread running to its end.

    Not in an executor: its threads are joined when Python exits, so a handler that never returns would keep the process for ever.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def work() -> None:
        result = context.run(function)
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name=name, daemon=True).start()
    return future
