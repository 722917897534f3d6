"""Wait for a named condition instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, cast

T = TypeVar("T")

PAUSE = 0.005


def eventually(condition: Callable[[], T], what: str, timeout: float = 10.0) -> T:
    """Call `condition` until it is true and return what it gave; after `timeout` seconds fail with `what` was awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise _too_late(what, timeout, value)
        time.sleep(PAUSE)


async def eventually_async(condition: Callable[[], T | Awaitable[T]], what: str, timeout: float = 10.0) -> T:
    """Do the same without blocking the loop; `condition` may be plain or async."""
    deadline = time.monotonic() + timeout
    while True:
        given = condition()
        value = cast("T", await given if isawaitable(given) else given)
        if value:
            return value
        if time.monotonic() > deadline:
            raise _too_late(what, timeout, value)
        await asyncio.sleep(PAUSE)


def _too_late(what: str, timeout: float, value: object) -> AssertionError:
    return AssertionError(f"not within {timeout:g} s: {what} (the condition last gave {value!r})")
