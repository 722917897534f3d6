"""A server that takes connections and says nothing, while many wait for ends: one of them connects, and holds up none of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from eventually import eventually, eventually_async

from omniq_flow import Session, connect, disconnect, flow, step
from omniq_flow.errors import ResultTimeout, RunCancelled
from omniq_flow.runtime.async_listener import AsyncListener
from omniq_flow.runtime.channels import Ear
from omniq_flow.runtime.listener import Listener
from omniq_flow.testing.faults import Fault, Stall, nothing
from omniq_flow.testing.proxy import Proxy

pytestmark = pytest.mark.keeps_keys


@step
def same(x: int) -> int:
    return x


@flow
def idle(x: int) -> int:
    return same(x)


@pytest.fixture
def session(proxy: Proxy) -> Iterator[Session]:
    """The session of this process, through the proxy."""
    made = connect(proxy.url)
    yield made
    proxy.flow()
    disconnect()
    eventually(lambda: proxy.connections == 0, "no connection is left")


def new_ones_are_mute(command: tuple[bytes, ...]) -> Fault | None:
    return Stall(delivered=False) if command[:2] == (b"CLIENT", b"SETNAME") else None


def ears(listener: Listener) -> list[Ear[threading.Event]]:
    return [ear for channel in list(listener._channels._channels.values()) for ear in channel.ears]


def told(listener: Listener, channel: str) -> bool:
    with listener.ear(channel) as ear:
        return listener.wait(ear, 30)


async def atold(listener: AsyncListener, channel: str) -> bool:
    async with listener.ear(channel) as ear:
        return await listener.wait(ear, 30)


def test_a_thread_that_connects_holds_up_no_other(session: Session, proxy: Proxy) -> None:
    listener = session.listener
    proxy.stall()
    with ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(told, listener, "one")
        eventually(lambda: proxy.connections, "it connects")
        with listener.ear("two") as two:
            assert not listener.wait(two, 0.05)
        assert not connecting.done()
        proxy.flow()
        assert connecting.result()


async def test_a_task_that_connects_holds_up_no_other(session: Session, proxy: Proxy) -> None:
    listener = session.alistener()
    proxy.stall()
    connecting = asyncio.ensure_future(atold(listener, "one"))
    await eventually_async(lambda: proxy.connections, "it connects")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await atold(listener, "two")
    assert not connecting.done()
    proxy.flow()
    assert await connecting
    await session.aclose()


def test_threads_that_let_time_pass_listen_as_soon_as_there_is_a_connection(session: Session, proxy: Proxy) -> None:
    listener = session.listener
    proxy.stall()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(told, listener, channel) for channel in ("one", "two", "three")]
        eventually(lambda: sum(ear.waits for ear in ears(listener)) == 3, "one connects, the others wait")
        eventually(lambda: proxy.connections, "one connects")
        proxy.flow()
        assert all(each.result() for each in waiting)
        assert proxy.connections == 1


async def test_tasks_that_let_time_pass_listen_as_soon_as_there_is_a_connection(session: Session, proxy: Proxy) -> None:
    listener = session.alistener()
    proxy.stall()
    waiting = asyncio.gather(*(atold(listener, channel) for channel in ("one", "two", "three")))
    await eventually_async(lambda: proxy.connections, "one connects, the others wait")
    proxy.flow()
    assert await waiting == [True, True, True]
    assert proxy.connections == 1
    await session.aclose()


def test_a_listener_is_closed_at_once_while_a_thread_connects(session: Session, proxy: Proxy) -> None:
    listener = session.listener
    proxy.stall()
    with ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(told, listener, "one")
        eventually(lambda: proxy.connections, "it connects")
        session.close()
        assert not connecting.done()
        proxy.flow()
        assert connecting.result(), "a reason to look"
    eventually(lambda: proxy.connections == 0, "what was connected after that is closed")


async def test_a_listener_is_closed_at_once_while_a_task_connects(session: Session, proxy: Proxy) -> None:
    proxy.stall()
    connecting = asyncio.ensure_future(atold(session.alistener(), "one"))
    await eventually_async(lambda: proxy.connections, "it connects")
    await session.aclose()
    assert not connecting.done()
    proxy.flow()
    assert await connecting, "a reason to look"
    await eventually_async(lambda: proxy.connections == 0, "what was connected after that is closed")


def test_a_doubt_while_a_thread_connects_miscounts_nothing(session: Session, proxy: Proxy, redis_client: redis.Redis) -> None:
    listener = session.listener
    proxy.stall()
    with listener.ear("one") as one, ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(listener.wait, one, 30)
        eventually(lambda: proxy.connections, "it connects")
        listener.doubt(one)
        assert not connecting.done()
        proxy.flow()
        assert connecting.result(), "the subscription"
        assert not listener._channels._unconfirmed
        redis_client.publish("one", "now")
        assert listener.wait(one, 30)


async def test_a_doubt_while_a_task_connects_miscounts_nothing(session: Session, proxy: Proxy, redis_client: redis.Redis) -> None:
    listener = session.alistener()
    proxy.stall()
    async with listener.ear("one") as one:
        connecting = asyncio.ensure_future(listener.wait(one, 30))
        await eventually_async(lambda: proxy.connections, "it connects")
        await listener.doubt(one)
        assert not connecting.done()
        proxy.flow()
        assert await connecting, "the subscription"
        assert not listener._channels._unconfirmed
        redis_client.publish("one", "now")
        assert await listener.wait(one, 30)
    await session.aclose()


async def test_a_task_that_is_cancelled_leaves_the_connecting_to_another(session: Session, proxy: Proxy) -> None:
    listener = session.alistener()
    proxy.stall()
    connecting = asyncio.ensure_future(atold(listener, "one"))
    await eventually_async(lambda: proxy.connections, "it connects")
    waiting = asyncio.ensure_future(atold(listener, "two"))
    await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait([connecting])
    assert connecting.cancelled()
    await eventually_async(lambda: listener._connecting, "the other one connects")
    proxy.flow()
    assert await waiting
    await session.aclose()


def test_a_connection_that_is_found_closed_is_not_made_anew_by_the_send(session: Session, proxy: Proxy) -> None:
    """It would be made under the lock, with all others waiting for it."""
    listener = session.listener
    with listener.ear("one") as one, listener.ear("two") as two, ThreadPoolExecutor(1) as threads:
        assert listener.wait(one, 30), "the subscription"
        proxy.stall()
        listener._connection.disconnect()
        assert threads.submit(listener.wait, two, 30).result(timeout=5), "a reason to look"
        proxy.flow()
        assert listener.wait(two, 30), "the subscription, over a new connection"


def test_a_thread_keeps_its_timeout_while_another_one_connects(session: Session, proxy: Proxy) -> None:
    run = idle.start(1)
    proxy.decide = new_ones_are_mute
    with ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(run.result, 30)
        eventually(lambda: proxy.met, "it connects")
        with pytest.raises(ResultTimeout):
            run.result(timeout=0.05)
        assert not connecting.done()
        run.cancel()
        proxy.decide = nothing
        proxy.cut()
        with pytest.raises(RunCancelled):
            connecting.result()


async def test_a_task_keeps_its_timeout_while_another_one_connects(session: Session, proxy: Proxy) -> None:
    run = await idle.astart(1)
    proxy.decide = new_ones_are_mute
    connecting = asyncio.ensure_future(run.aresult(30))
    await eventually_async(lambda: proxy.met, "it connects")
    with pytest.raises(ResultTimeout):
        await run.aresult(timeout=0.05)
    assert not connecting.done()
    await run.acancel()
    proxy.decide = nothing
    proxy.cut()
    with pytest.raises(RunCancelled):
        await connecting
    await session.aclose()
