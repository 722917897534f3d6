"""A worker meets a server for the first time."""

from __future__ import annotations

import asyncio

import pytest
from eventually import eventually_async
from fake_server import mute_server

from omniq_flow import flow, step
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


async def test_nobody_at_the_address_is_told_at_the_first_contact() -> None:
    session = Session("redis://127.0.0.1:1")
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1"):
        await Worker(session, [doubled], WorkerOptions()).run()
    await session.aclose()
