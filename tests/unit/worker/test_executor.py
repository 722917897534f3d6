"""The executor alone, with a client that only lets time pass."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from eventually import eventually_async

from omniq_flow import flow, step
from omniq_flow.runtime.operations import Attempt, Ending
from omniq_flow.runtime.outcomes import CHUNK_ITEMS
from omniq_flow.worker import executor as executor_module
from omniq_flow.worker.attempt import Claimed
from omniq_flow.worker.executor import Executor
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.processes import Processes
from omniq_flow.worker.served import Served


class Waiting:
    """Stands for a client: each operation takes one round of the loop."""

    async def run(self, operation: object) -> None:
        await asyncio.sleep(0)


@step
async def leaves_a_cancel_behind(x: int) -> list[int]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return [x] * (CHUNK_ITEMS + 1)


@step
async def counted(x: int) -> int:
    return x


ticks: list[int] = []


@step
async def notes_the_tick(x: int) -> None:
    ticks.append(clock["ticks"])


clock = {"ticks": 0}


@flow
def noting(x: int) -> None:
    notes_the_tick(x)


@flow
def cancelled(x: int) -> list[int]:
    return counted.map(leaves_a_cancel_behind(x))


def claimed(of: Any, x: bytes, run: str = "r") -> Claimed:
    inputs = Inputs()
    inputs.add([[b"v0", b"value", x]])
    return Claimed("q", f"{run}/1/0/0", Attempt(run, 1, 0, 0, "t"), of.compiled.fingerprint, "q", 1, 0, 0, inputs, None)


async def tick() -> None:
    while True:
        clock["ticks"] += 1
        await asyncio.sleep(0)


async def test_what_is_waited_for_after_a_step_is_not_met_by_a_cancel_that_the_step_left_behind() -> None:
    endings: list[Ending] = []
    client: Any = Waiting()
    served = Served([cancelled], 1000)
    executor = Executor(client, served, Processes(()), done=lambda _, ending: endings.append(ending), freed=lambda: None)
    executor.begin(claimed(cancelled, b"7"))
    await eventually_async(lambda: endings, "it ends")
    assert (endings[0].verdict, endings[0].body) == ("ok", b"L501")
    await eventually_async(lambda: not executor.busy, "its place is free")
    await executor.close()


@pytest.mark.parametrize("slice_s, breaks", [(0.0, True), (60.0, False)])
async def test_a_row_of_steps_lets_the_loop_do_other_things_in_between(
    monkeypatch: pytest.MonkeyPatch, slice_s: float, breaks: bool
) -> None:
    monkeypatch.setattr(executor_module, "SLICE_S", slice_s)
    ticks.clear()
    ticking = asyncio.create_task(tick())
    executor = Executor(Any, Served([noting], 1000), Processes(()), done=lambda _, __: None, freed=lambda: None)  # type: ignore[arg-type]
    for number in range(20):
        executor.begin(claimed(noting, b"1", f"r{number}"))
    await eventually_async(lambda: len(ticks) == 20, "all have run")
    assert len(set(ticks)) == (20 if breaks else 1)
    ticking.cancel()
    await executor.close()
