"""The flows that are measured: trivial steps, so that what is measured is the engine."""

from __future__ import annotations

import asyncio
import time

from omniq_flow import Flow, Limit, flow, step

SLEEP_S = 0.05
CHAINS = (20, 200, 1000)


@step
async def increment(x: int) -> int:
    """Return the next number."""
    return x + 1


@step
async def add(numbers: list[int]) -> int:
    """Return the sum."""
    return sum(numbers)


@step
async def spread(n: int) -> list[int]:
    """Return n numbers."""
    return list(range(n))


@step
def increment_in_thread(x: int) -> int:
    """Return the next number, from a thread."""
    return x + 1


@step
async def sleep(x: int) -> int:
    """Return the next number after a while."""
    await asyncio.sleep(SLEEP_S)
    return x + 1


@step
async def compute(x: int) -> int:
    """Return the next number after a millisecond of the processor's time."""
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass
    return x + 1


@step(limit=Limit("group", 1000))
async def increment_in_group(group: int) -> int:
    """Return the next number, in a group that has room for all."""
    return group + 1


@step
async def spread_groups(n: int, groups: int) -> list[int]:
    """Return n numbers, of which so many differ."""
    return [x % groups for x in range(n)]


@step
async def spread_texts(n: int, size: int) -> list[str]:
    """Return n texts of a size."""
    return ["x" * size] * n


@step
async def echo(text: str) -> str:
    """Return what it was given."""
    return text


@step
async def measure(texts: list[str]) -> int:
    """Return how long the texts are together."""
    return sum(map(len, texts))


@flow
def fan(n: int) -> int:
    """Fan out over n children and join them."""
    return add(increment.map(spread(n)))


@flow
def threads(n: int) -> int:
    """Fan out over n children that run in threads."""
    return add(increment_in_thread.map(spread(n)))


@flow
def sleeping(n: int) -> int:
    """Fan out over n children that wait."""
    return add(sleep.map(spread(n)))


@flow
def computing(n: int) -> int:
    """Fan out over n children that compute."""
    return add(compute.map(spread(n)))


@flow
def grouped(n: int, groups: int) -> int:
    """Fan out over n children in groups."""
    return add(increment_in_group.map(spread_groups(n, groups)))


@flow
def carrying(n: int, size: int) -> int:
    """Fan out over n texts and join them."""
    return measure(echo.map(spread_texts(n, size)))


@flow
def one(x: int) -> int:
    """Run a single step."""
    return increment(x)


@flow
def diamond(x: int) -> int:
    """Run four steps: one, two side by side, one."""
    start = increment(x)
    return add([increment(start), increment(start)])


@flow
def waiting(numbers: list[int]) -> list[int]:
    """Fan out over an argument."""
    return increment.map(numbers)


def chain(length: int) -> Flow[[int], int]:
    """Return a flow of so many steps, each of which takes what the one before gave."""

    def hops(x: int) -> int:
        for _ in range(length):
            x = increment(x)
        return x

    return flow(name=f"flows_to_measure.chain_{length}")(hops)


chain_20, chain_200, chain_1000 = (chain(length) for length in CHAINS)
