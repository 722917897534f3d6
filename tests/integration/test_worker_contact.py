"""A worker meets a server for the first time, and leaves one that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from eventually import eventually_async
from fake_server import mute_server
from real_server import RealServer

from omniq_flow import connect, disconnect, flow, step
from omniq_flow.errors import ServerUnreachable
from omniq_flow.runtime.session import Session
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker


@step
def double(x: int) -> int:
    return 2 * x


@flow
def doubled(x: int) -> int:
    return double(x)


@step
async def wait() -> None:
    await asyncio.Event().wait()


@flow
def waiting() -> None:
    wait()


async def test_a_stop_is_heard_while_the_server_is_mute() -> None:
    with mute_server() as server:
        session = Session(server.url)
        worker = Worker(session, [doubled], WorkerOptions())
        working = asyncio.create_task(worker.run())
        await eventually_async(lambda: server.connections, "the worker's connection")
        worker.stop()
        async with asyncio.timeout(5):
            await working
        await session.aclose()


async def test_a_stop_is_heard_also_where_the_cancel_of_the_contact_gets_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python before 3.12 loses one that comes just when redis-py has connected."""
    session = Session("redis://127.0.0.1:1")
    worker = Worker(session, [doubled], WorkerOptions())
    begun = asyncio.Event()

    async def deaf() -> None:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(worker._client, "check", deaf)
    working = asyncio.create_task(worker.run())
    await begun.wait()
    worker.stop()
    async with asyncio.timeout(5):
        await working
    await session.aclose()


async def test_nobody_at_the_address_is_told_at_the_first_contact() -> None:
    session = Session("redis://127.0.0.1:1")
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1"):
        await Worker(session, [doubled], WorkerOptions()).run()
    await session.aclose()


async def test_a_worker_without_patience_leaves_while_its_server_is_away(
    spare_server: Callable[..., RealServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The stop ends the pause before its next turn, and in the same moment what runs is to be cut off."""
    spare = spare_server()
    session = connect(spare.url)
    worker = Worker(session, [waiting], WorkerOptions(drain=0))
    working = asyncio.create_task(worker.run())
    await waiting.astart()
    await eventually_async(lambda: worker.executor.running, "the step runs")
    spare.kill()
    worker.wake()
    await eventually_async(lambda: "no turn possible" in caplog.text, "it pauses")
    worker.stop()
    async with asyncio.timeout(20):
        await working
    await session.aclose()
    disconnect()
