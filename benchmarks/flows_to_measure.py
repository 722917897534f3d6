"""The flows that figures.py measures: trivial steps, so that what is measured is the engine."""

from __future__ import annotations

from omniq_flow import flow, step


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


@flow
def fan(n: int) -> int:
    """Fan out over n children and join them."""
    return add(increment.map(spread(n)))


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


FLOWS = (fan, one, diamond, waiting)
