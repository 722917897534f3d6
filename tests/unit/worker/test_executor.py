"""The executor alone, with a client that only lets time pass, or one on a server that refuses it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from eventually import eventually_async
from real_server import RealServer

from omniq_flow import flow, step
from omniq_flow.queue.async_client import AsyncOmniqClient
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


@step
async def many(x: int) -> list[int]:
    return [x] * (CHUNK_ITEMS + 1)


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


@flow
def listed(x: int) -> list[int]:
    return counted.map(many(x))


def claimed(of: Any, x: bytes | None, run: str = "r") -> Claimed:
    """Return an attempt; without ``x`` its argument is far."""
    inputs = Inputs()
    inputs.add([[b"v0", b"far"] if x is None else [b"v0", b"value", x]])
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


# What an operator takes from the worker's user for a while, and how it comes back.
TAKEN = {
    "its password": (("resetpass", ">another"), ("resetpass", ">secret")),
    "scripts": (("-evalsha", "-eval"), ("+evalsha", "+eval")),
    "what scripts do": (("-hget", "-rpush"), ("+hget", "+rpush")),
}


@pytest.mark.parametrize("x", [None, b"7"], ids=["a far input", "a long result"])
@pytest.mark.parametrize("taken, given", TAKEN.values(), ids=TAKEN)
async def test_a_login_or_an_acl_that_is_refused_for_a_while_is_waited_for(
    spare_server: Callable[..., RealServer],
    caplog: pytest.LogCaptureFixture,
    taken: tuple[str, ...],
    given: tuple[str, ...],
    x: bytes | None,
) -> None:
    server = spare_server()
    server.ask("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
    server.ask("HSET", "{run:r}:out", "0", "7")
    endings: list[Ending] = []
    async with AsyncOmniqClient(f"redis://worker:secret@{server.host}:{server.port}") as client:
        await client.check()
        executor = Executor(client, Served([listed], 1000), Processes(()), done=lambda _, each: endings.append(each), freed=lambda: None)
        server.ask("ACL", "SETUSER", "worker", *taken)
        server.ask("CLIENT", "KILL", "USER", "worker")
        with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
            executor.begin(claimed(listed, x))
            await eventually_async(lambda: endings or "waiting for the server" in caplog.text, "it waits")
        server.ask("ACL", "SETUSER", "worker", *given)
        await eventually_async(lambda: endings, "it ends")
        assert (endings[0].verdict, endings[0].body) == ("ok", b"L501")
        await executor.close()


async def test_data_of_a_wrong_kind_fails_the_attempt(server: RealServer) -> None:
    server.ask("SET", "{run:r}:out", "no hash", "EX", 60)
    endings: list[Ending] = []
    async with AsyncOmniqClient(server.url) as client:
        executor = Executor(client, Served([noting], 1000), Processes(()), done=lambda _, each: endings.append(each), freed=lambda: None)
        executor.begin(claimed(noting, None))
        await eventually_async(lambda: endings, "it ends")
        await executor.close()
    assert endings[0].verdict == "fail"
    assert b"the server refuses to hand out" in endings[0].body
