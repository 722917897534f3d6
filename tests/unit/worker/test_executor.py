"""The executor alone, with a client that only lets time pass."""

from __future__ import annotations

import asyncio
from typing import Any

from eventually import eventually_async

from omniq_flow import flow, step
from omniq_flow.runtime.operations import Attempt, Ending
from omniq_flow.runtime.outcomes import CHUNK_ITEMS
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


@flow
def cancelled(x: int) -> list[int]:
    return counted.map(leaves_a_cancel_behind(x))


def claimed(of: Any, x: bytes) -> Claimed:
    inputs = Inputs()
    inputs.add([[b"v0", b"value", x]])
    return Claimed("q", "r/1/0/0", Attempt("r", 1, 0, 0, "t"), of.compiled.fingerprint, "q", 1, 0, 0, inputs, None)


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
