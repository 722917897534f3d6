"""What each run must give, and which of its children must be executed how often when nothing goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import flows_under_chaos as flows

from omniq_flow import Flow

Child: TypeAlias = tuple[str, int]
Executions: TypeAlias = "Counter[Child]"


@dataclass(frozen=True)
class Expected:
    """The result, None for a run that fails; the executions that there must be, and those that there may be."""

    result: int | None
    must: Executions
    may: frozenset[Child] = frozenset()


@dataclass(frozen=True)
class Shape:
    """A flow, how large its runs are, how often it is drawn, and what is expected of a run of size n."""

    flow: Flow[[int, str], int]
    sizes: tuple[int, ...]
    weight: int
    expected: Callable[[int], Expected]


def _once(*children: Child) -> Executions:
    return Counter(dict.fromkeys(children, 1))


def _each(node: str, items: range, times: int = 1) -> Executions:
    return Counter({(node, x): times for x in items})


def _chain(n: int) -> Expected:
    return Expected((n + 1) ** 2 + 1, _once(("first", n), ("second", n + 1), ("third", (n + 1) ** 2)))


def _diamond(n: int) -> Expected:
    return Expected(n + 2 + (n + 1) ** 2, _once(("top", n), ("left", n + 1), ("right", n + 1), ("total", 0)))


def _fan(n: int) -> Expected:
    return Expected(sum(x * x for x in range(n)), _once(("numbers", n), ("total", 0)) + _each("child", range(n)))


def _fan_of_fan(n: int) -> Expected:
    must = _once(("numbers", n), ("total", 0)) + _each("outer", range(n)) + _each("inner", range(1, n + 1))
    return Expected(sum(x * x for x in range(1, n + 1)), must)


def _retried(n: int) -> Expected:
    return Expected(sum(range(n)), _once(("numbers", n), ("total", 0)) + _each("stubborn", range(n), flows.FAILURES + 1))


def _failing(n: int) -> Expected:
    return Expected(None, _once(("hopeless", n)), frozenset({("beside", n)}))


def _grouped(n: int) -> Expected:
    return Expected(sum(range(n)), _once(("numbers", n), ("total", 0)) + _each("limited", range(n)))


def _in_processes(n: int) -> Expected:
    return Expected((n + 1) ** 2, _once(("before", n), ("apart", n + 1)))


def _staged(n: int) -> Expected:
    return Expected(n * 100_000, _once(("texts", n), ("total", 0)) + _each("length", range(n)))


SHAPES = {
    "chain": Shape(flows.chain, (0, 1, 2), 6, _chain),
    "diamond": Shape(flows.diamond, (0, 1, 2), 6, _diamond),
    "fan": Shape(flows.fan, (0, 1, 5, 30), 6, _fan),
    "fan of fan": Shape(flows.fan_of_fan, (0, 2, 12), 4, _fan_of_fan),
    "retried": Shape(flows.retried, (3,), 3, _retried),
    "failing": Shape(flows.failing, (1,), 3, _failing),
    "grouped": Shape(flows.grouped, (4,), 3, _grouped),
    "in processes": Shape(flows.in_processes, (3,), 1, _in_processes),
    "staged": Shape(flows.staged, (3,), 1, _staged),
}
