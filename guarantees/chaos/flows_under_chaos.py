"""The flows that run under chaos. Each step tells in a journal when it begins and when it has ended, whatever becomes of its worker."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from omniq_flow import Limit, flow, step

JOURNAL = "OMNIQ_CHAOS_JOURNAL"
LONG_S = 2.5
"""Longer than the leases of the workers: now and then a step takes so long."""
FAILURES = 2
"""How often each child of a stubborn step fails before it succeeds."""
SAFE = 10_000
"""A crash budget that no season spends: here workers die all the time, and no step is to blame."""


@functools.cache
def _journal(path: str, _pid: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def tell(run: str, node: str, index: int, what: str) -> None:
    """Append a line: nanoseconds of the machine's clock, the worker's process id, which child of which run, and what happened."""
    # A process that a worker keeps for steps is started by `-c`, and told whose it is.
    worker = int(sys.argv[2]) if sys.argv[0] == "-c" else os.getpid()
    line = f"{time.monotonic_ns()} {worker} {run} {node} {index} {what}\n"
    os.write(_journal(os.environ[JOURNAL], os.getpid()), line.encode())


@contextmanager
def told(run: str, node: str, index: int) -> Generator[None]:
    """Tell that an execution begins, and that it has ended."""
    tell(run, node, index, "begins")
    yield
    tell(run, node, index, "ends")


def seconds(run: str, node: str, index: int) -> float:
    """Return how long a child takes: a few milliseconds, seldom longer than a lease; the same at each execution."""
    draw = zlib.crc32(f"{run}/{node}/{index}".encode()) % 1000
    return LONG_S if draw < 3 else draw / 10_000  # noqa: PLR2004  # three in a thousand


@step(crashes=SAFE)
async def add(x: int, run: str, node: str) -> int:
    """Add one, on the loop."""
    with told(run, node, x):
        await asyncio.sleep(seconds(run, node, x))
    return x + 1


@step(crashes=SAFE)
def square(x: int, run: str, node: str) -> int:
    """Square, in a thread."""
    with told(run, node, x):
        time.sleep(seconds(run, node, x))
    return x * x


@step(crashes=SAFE)
async def numbers(n: int, run: str) -> list[int]:
    """Return what a fan-out is over."""
    with told(run, "numbers", n):
        return list(range(n))


@step(crashes=SAFE)
def total(xs: list[int], run: str) -> int:
    """Join a fan-out."""
    with told(run, "total", 0):
        return sum(xs)


@step(crashes=SAFE, retries=SAFE, backoff=0.05, retry_on=ValueError)
def stubborn(x: int, run: str) -> int:
    """Fail at the first executions, however they are told apart."""
    # In a file of its own, which outlives the worker: a failure that was noted counts, told or not.
    with told(run, "stubborn", x), Path(f"{os.environ[JOURNAL]}-{run}-{x}").open("ab") as failures:
        if failures.tell() < FAILURES:
            failures.write(b"f")
            raise ValueError("not yet")
    return x


@step(crashes=SAFE)
async def hopeless(x: int, run: str) -> int:
    """Fail for good."""
    with told(run, "hopeless", x):
        raise RuntimeError("never")


@step(crashes=SAFE, limit=Limit("tenant", 2), queue="limited")
def limited(x: int, run: str, tenant: str) -> int:
    """Work for a tenant, two at a time, in another queue."""
    with told(run, "limited", x):
        time.sleep(seconds(run, tenant, x))
    return x


@step(crashes=SAFE, executor="process")
def apart(x: int, run: str) -> int:
    """Square, in a process of its own."""
    with told(run, "apart", x):
        return x * x


@step(crashes=SAFE)
async def texts(n: int, run: str) -> list[str]:
    """Return a list that is too long for one call."""
    with told(run, "texts", n):
        return [str(k) * 100_000 for k in range(n)]


@step(crashes=SAFE)
async def length(text: str, run: str) -> int:
    """Measure a large item."""
    with told(run, "length", int(text[0])):
        return len(text)


@flow
def chain(n: int, run: str) -> int:
    """Do three steps, one after the other."""
    return add(square(add(n, run, "first"), run, "second"), run, "third")


@flow
def diamond(n: int, run: str) -> int:
    """Do one step, two side by side, and a join."""
    top = add(n, run, "top")
    return total([add(top, run, "left"), square(top, run, "right")], run)


@flow
def fan(n: int, run: str) -> int:
    """Fan out over a list."""
    return total(square.map(numbers(n, run), run, "child"), run)


@flow
def fan_of_fan(n: int, run: str) -> int:
    """Fan out over a fan-out, with a small window."""
    return total(square.opts(window=4).map(add.map(numbers(n, run), run, "outer"), run, "inner"), run)


@flow
def retried(n: int, run: str) -> int:
    """Fan out over children that fail at first."""
    return total(stubborn.map(numbers(n, run), run), run)


@flow
def failing(n: int, run: str) -> int:
    """Fail for good, beside a step that does not."""
    return total([add(n, run, "beside"), hopeless(n, run)], run)


@flow
def grouped(n: int, run: str) -> int:
    """Fan out over children of one tenant."""
    return total(limited.map(numbers(n, run), run, "acme"), run)


@flow
def in_processes(n: int, run: str) -> int:
    """Work in a process of its own."""
    return apart(add(n, run, "before"), run)


@flow
def staged(n: int, run: str) -> int:
    """Hand on a list and items that are too large to come along."""
    return total(length.map(texts(n, run), run), run)
