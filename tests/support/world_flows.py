"""Flows in the shapes that faults are tried on, what each one gives, and how often its steps were executed."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from omniq_flow import Flow, Limit, flow, step

executed: Counter[tuple[str, int]] = Counter()
"""How often the user code of a child ran, by what it was given."""

SAFE = 1000
"""A crash budget that no schedule spends."""


def noted(name: str, x: int) -> int:
    """Count an execution and return how many there were of this child."""
    executed[name, x] += 1
    return executed[name, x]


@step(crashes=SAFE)
async def first(x: int) -> int:
    noted("first", x)
    return x + 1


@step(crashes=SAFE)
async def left(x: int) -> int:
    noted("left", x)
    return 2 * x


@step(crashes=SAFE)
async def right(x: int) -> int:
    noted("right", x)
    return 3 * x


@step(crashes=SAFE)
async def join(xs: list[int]) -> int:
    noted("join", len(xs))
    return sum(xs)


@step(crashes=SAFE)
async def numbers(n: int) -> list[int]:
    noted("numbers", n)
    return list(range(n))


@step(crashes=SAFE, retries=SAFE, backoff=0)
async def second_time(x: int) -> int:
    if noted("second_time", x) == 1:
        raise ValueError("once more")
    return x


@step(crashes=SAFE)
async def never(x: int) -> int:
    noted("never", x)
    raise ValueError("never")


@step(crashes=SAFE, limit=Limit("x", 1))
async def alone(x: int, y: int) -> int:
    noted("alone", 10 * x + y)
    return x + y


@step(crashes=SAFE, queue="other")
async def elsewhere(x: int) -> int:
    noted("elsewhere", x)
    return x


@step(crashes=SAFE)
async def long_list(n: int) -> list[str]:
    noted("long_list", n)
    return [str(k) * 300_000 for k in range(n)]


@step(crashes=SAFE)
async def length(text: str) -> int:
    noted("length", int(text[0]))
    return len(text)


@flow
def chain(x: int) -> int:
    return right(left(first(x)))


@flow
def parallel(x: int) -> list[int]:
    return [first(x), left(x), elsewhere(x)]


@flow
def diamond(x: int) -> int:
    top = first(x)
    return join([left(top), right(top)])


@flow
def fan(n: int) -> int:
    return join(left.map(numbers(n)))


@flow
def fan_of_fan(n: int) -> int:
    return join(right.opts(window=2).map(left.map(numbers(n))))


@flow
def fan_of_arguments(xs: list[int]) -> list[int]:
    return left.opts(window=2).map(xs)


@flow
def fan_with_retries(n: int) -> int:
    return join(second_time.map(numbers(n)))


@flow
def failing(x: int) -> int:
    return join([left(x), never(x), right(left(x))])


@flow
def grouped(n: int) -> int:
    return join([alone(n, 0), alone(n, 1), join(alone.map(numbers(n), 5))])


@flow
def staged(n: int) -> int:
    return join(length.map(long_list(n)))


class Shape(NamedTuple):
    """A flow, its arguments and its result; None for one that fails."""

    flow: Flow[..., Any]
    arguments: tuple[Any, ...]
    result: Any


SHAPES = {
    "chain": Shape(chain, (1,), 12),
    "parallel": Shape(parallel, (4,), [5, 8, 4]),
    "diamond": Shape(diamond, (1,), 10),
    "fan": Shape(fan, (4,), 12),
    "fan of fan": Shape(fan_of_fan, (3,), 18),
    "fan of arguments": Shape(fan_of_arguments, ([3, 4, 5, 6, 7],), [6, 8, 10, 12, 14]),
    "empty fan": Shape(fan_of_fan, (0,), 0),
    "fan with retries": Shape(fan_with_retries, (3,), 3),
    "failing": Shape(failing, (2,), None),
    "grouped": Shape(grouped, (2,), 16),
    "staged": Shape(staged, (2,), 600_000),
}
