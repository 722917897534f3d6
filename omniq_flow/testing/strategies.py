"""Strategies of Hypothesis: schedules, single faults, and flows of any shape."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from omniq_flow.authoring.step import Step, step
from omniq_flow.runtime.flow import Flow, flow
from omniq_flow.testing.enumeration import ALONE
from omniq_flow.testing.exploration import MOVES, WEIGHTS
from omniq_flow.testing.schedule import Move, Schedule

_OFTEN: Final = [what for what, weight in WEIGHTS.items() for _ in range(weight)]
_HIGHEST: Final = 63


def moves() -> st.SearchStrategy[Move]:
    """Give single moves: mostly a point that goes, now and then a fault or another actor."""
    return st.builds(Move, st.sampled_from(_OFTEN), st.integers(0, _HIGHEST))


def schedules(max_moves: int = MOVES) -> st.SearchStrategy[Schedule]:
    """Give schedules for worlds of any flow; they shrink to few moves with low numbers."""
    return st.builds(_schedule_of, st.lists(moves(), max_size=max_moves))


def faults(max_points: int = 40) -> st.SearchStrategy[Schedule]:
    """Give schedules in which one thing goes wrong, at one of the first points of a course."""
    move = st.builds(Move, st.sampled_from(ALONE), st.integers(0, _HIGHEST))
    return st.builds(_fault_at, st.integers(0, max_points), move)


def _schedule_of(drawn: list[Move]) -> Schedule:
    return Schedule(tuple(drawn))


def _fault_at(point: int, fault: Move) -> Schedule:
    return Schedule((Move("on", point), fault))


@step(crashes=1000)
async def grown(x: int) -> int:
    """Give the next number."""
    return x + 1


@step(crashes=1000)
async def summed(x: int, y: int) -> int:
    """Give a sum, of a bounded size."""
    return (x + y) % 1_000_003


@step(crashes=1000)
async def counted_off(x: int) -> list[int]:
    """Give some numbers, none for every fourth."""
    return list(range(x % 4))


@step(crashes=1000)
async def totalled(xs: list[int]) -> int:
    """Give the sum of a list."""
    return sum(xs)


@step(crashes=1000, queue="elsewhere")
async def doubled(x: int) -> int:
    """Give the double, in a queue of its own."""
    return 2 * x


def flows(max_nodes: int = 6) -> st.SearchStrategy[Flow[[int], Any]]:
    """Give flows of one whole number: chains, branches, joins, fan-outs over lists of unknown size, and fan-outs over those."""
    bit = st.integers(0, _HIGHEST)
    parts = st.lists(
        st.tuples(st.sampled_from(["grow", "double", "sum", "list", "map", "total"]), bit, bit), min_size=1, max_size=max_nodes
    )
    return st.builds(_flow_of, parts)


def _flow_of(parts: list[tuple[str, int, int]]) -> Flow[[int], Any]:
    def drawn(x: int) -> list[Any]:
        numbers: list[Any] = [x]
        lists: list[Any] = [counted_off(x)]
        for kind, a, b in parts:
            number, other, some = numbers[a % len(numbers)], numbers[b % len(numbers)], lists[a % len(lists)]
            if kind == "list":
                lists.append(counted_off(number))
            elif kind == "map":
                lists.append(_either(b).map(some))
            else:
                numbers.append(_single(kind, number, other, some))
        return [numbers[-1], lists[-1]]

    name = "drawn." + "-".join(f"{kind}.{a}.{b}" for kind, a, b in parts)
    drawn.__annotations__ = {"x": int, "return": list[Any]}
    return flow(name=name)(drawn)


def _either(number: int) -> Step[[int], int]:
    return doubled if number % 2 else grown


def _single(kind: str, number: Any, other: Any, some: Any) -> Any:
    if kind == "sum":
        return summed(number, other)
    if kind == "total":
        return totalled(some)
    return doubled(number) if kind == "double" else grown(number)
