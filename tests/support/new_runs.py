"""Runs that tests start by hand, and the flows that they are of."""

from __future__ import annotations

from typing import Any

from world_flows import alone, elsewhere, first, left

from omniq_flow import Flow, flow
from omniq_flow.runtime.operations import NewRun
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import new_run


@flow
def one(x: int) -> int:
    return first(x)


@flow
def two_queues(x: int) -> list[int]:
    return [first(x), elsewhere(x), left(x), alone(x, 1)]


@flow
def no_steps(x: int) -> int:
    return x


def made(built: Flow[..., Any], *arguments: Any, key: str = "k") -> NewRun:
    """Return a run to be started."""
    shapes = Shapes(built.compiled, "default", 30_000)
    return new_run(built.compiled, shapes, built.compiled.bind(arguments, {}), key=key, queue="default", keep_ms=60_000)
