"""Running async functions from sync code in this process, also where a loop is already running."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

A = TypeVar("A")
T = TypeVar("T")


def run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end and return its result.

    Where a loop is running in this thread, which cannot be entered again, it runs on a loop of its own in a thread of its own, and this
    loop waits: async code had better say ``await step.acall(...)``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="omniq-flow-call") as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, make()).result()


def run_all(make: Callable[[A], Coroutine[Any, Any, T]], items: Iterable[A], width: int) -> list[T]:
    """Run a coroutine per item side by side on one loop, at most ``width`` at a time; the first error cancels the rest and is raised."""
    return run(lambda: _all(make, list(items), width))


async def in_thread(call: Callable[[], T]) -> T:
    """Run a function in a thread of its own and wait for it without holding up the loop."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="omniq-flow-call")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, contextvars.copy_context().run, call)
    finally:
        thread.shutdown(wait=False)


async def _all(make: Callable[[A], Coroutine[Any, Any, T]], items: list[A], width: int) -> list[T]:
    free = asyncio.Semaphore(width)

    async def one(item: A) -> T:
        async with free:
            return await make(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
