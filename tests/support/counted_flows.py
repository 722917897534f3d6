"""Flows of a few short steps with results that can be told beforehand."""

from __future__ import annotations

import asyncio
import time

from omniq_flow import flow, step


@step(crashes=1000)
async def count_to(n: int) -> list[int]:
    await asyncio.sleep(0.01)
    return list(range(n))


@step(crashes=1000)
def square(x: int) -> int:
    time.sleep(0.01)
    return x * x


@step(crashes=1000)
async def add_up(xs: list[int], plus: int) -> int:
    return sum(xs) + plus


@flow
def squares(n: int, plus: int) -> int:
    return add_up(square.map(count_to(n)), plus)


CHILDREN = 4


def expected(plus: int) -> int:
    return sum(x * x for x in range(CHILDREN)) + plus
