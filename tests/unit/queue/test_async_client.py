from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio
from real_server import RealServer

from omniq_flow.errors import JobNotFound
from omniq_flow.queue import AsyncOmniqClient, OmniqClient, ReserveJob
from omniq_flow.queue import operations as ops
from omniq_flow.queue.async_client import alone
from omniq_flow.queue.calls import lone_call


@pytest.fixture
async def aomniq(server: RealServer) -> AsyncIterator[AsyncOmniqClient]:
    async with AsyncOmniqClient(server.url) as client:
        yield client


PUBLIC = [name for name, _ in inspect.getmembers(OmniqClient, inspect.isfunction) if not name.startswith("_") and name != "close"]


@pytest.mark.parametrize("name", PUBLIC)
def test_it_has_the_methods_of_the_blocking_client(name: str) -> None:
    ours, theirs = getattr(AsyncOmniqClient, name), getattr(OmniqClient, name)
    assert inspect.iscoroutinefunction(ours)
    assert inspect.signature(ours) == inspect.signature(theirs)


def test_it_has_no_methods_of_its_own() -> None:
    ours = {name for name, _ in inspect.getmembers(AsyncOmniqClient, inspect.isfunction) if not name.startswith("_")}
    assert ours - set(PUBLIC) == {"aclose"}


async def test_a_jobs_whole_life(aomniq: AsyncOmniqClient) -> None:
    assert await aomniq.publish(queue="q", payload={"x": 1}, job_id="a", timeout_ms=1000) == "a"
    assert await aomniq.publish_json(queue="q", payload=[1], job_id="b", due_ms=10**13)
    job = await aomniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    held: dict[str, Any] = {"queue": "q", "job_id": "a", "lease_token": job.lease_token}
    assert await aomniq.heartbeat(**held) > 0
    assert await aomniq.heartbeat_many(queue="q", leases=[("a", job.lease_token), ("b", "t")]) == ["b"]
    await aomniq.release(**held)
    found = await aomniq.reserve_many(queue="q", count=5)
    assert isinstance(found, list)
    assert [job.job_id for job in found] == ["a"]
    assert (await aomniq.ack_fail(queue="q", job_id="a", lease_token=found[0].lease_token)).status == "RETRY"
    assert await aomniq.promote_delayed(queue="q", now_ms_override=10**14) == 2
    assert await aomniq.reap_expired(queue="q") == 0
    assert [await aomniq.pause(queue="q"), await aomniq.is_paused(queue="q"), await aomniq.resume(queue="q")] == ["OK", True, 1]
    await aomniq.remove_job(queue="q", job_id="a", lane="wait")
    assert await aomniq.remove_jobs_batch(queue="q", lane="wait", job_ids=["b"]) == [("b", "OK", None)]
    with pytest.raises(JobNotFound):
        await aomniq.retry_failed(queue="q", job_id="a")
    assert await aomniq.retry_failed_batch(queue="q", job_ids=["a"]) == [("a", "ERR", "NO_JOB")]
    await aomniq.childs_init(key="k", expected=1)
    assert await aomniq.child_ack(key="k", child_id="c") == 0


async def test_concurrent_reserves_share_out_the_jobs(aomniq: AsyncOmniqClient) -> None:
    await asyncio.gather(*(aomniq.publish(queue="q", payload={}) for _ in range(100)))
    found = await asyncio.gather(*(aomniq.reserve(queue="q") for _ in range(100)))
    assert len({job.job_id for job in found if isinstance(job, ReserveJob)}) == 100


async def test_many_operations_and_lost_scripts(aomniq: AsyncOmniqClient) -> None:
    await aomniq.redis.script_flush()
    wanted: list[Any] = [
        ops.enqueue("q", "a", b"{}", call=lone_call()),
        ops.pause("q"),
        ops.resume("q"),
        ops.reserve("q", call=lone_call()),
    ]
    done = await aomniq.run_many([*wanted, ops.retry_failed("q", "nobody", call=lone_call())], return_errors=True)
    assert done[:3] == ["a", "OK", 1]
    assert isinstance(done[4], JobNotFound)
    with pytest.raises(JobNotFound):
        await aomniq.run_many([ops.retry_failed("q", "nobody", call=lone_call())])
    assert await aomniq.run_many([]) == []


async def test_what_a_cancelled_reserve_had_claimed_comes_with_the_next_one(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    await aomniq.publish(queue="q", payload={}, job_id="a")
    answered = asyncio.Event()
    sending = aomniq.redis.execute_command

    async def never_answering(*command: Any, **options: Any) -> Any:
        await sending(*command, **options)
        answered.set()
        await asyncio.get_running_loop().create_future()

    aomniq.redis.execute_command = never_answering  # type: ignore[method-assign]
    task = asyncio.create_task(aomniq.reserve(queue="q"))
    await answered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    aomniq.redis.execute_command = sending  # type: ignore[method-assign]
    assert redis_client.hget("{q}:job:a", "state") == b"active"
    job = await aomniq.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    assert (job.job_id, job.attempt) == ("a", 1)
    assert await aomniq.reserve(queue="q") is None


async def test_a_ready_client_stays_open(server: RealServer) -> None:
    async with redis.asyncio.Redis(unix_socket_path=str(server.socket_path)) as ready:
        async with AsyncOmniqClient(redis=ready) as aomniq:
            assert await aomniq.publish(queue="q", payload={}, job_id="a") == "a"
            assert aomniq.redis is ready
        assert await ready.ping()


async def test_a_client_alone_keeps_to_one_connection_and_finds_a_new_one_when_that_is_lost(
    aomniq: AsyncOmniqClient, redis_client: redis.Redis
) -> None:
    lone = alone(aomniq)
    first = await lone.redis.client_id()
    assert [await lone.redis.client_id() for _ in range(3)] == [first] * 3
    assert await aomniq.redis.client_id() != first, "others are lent another one"
    await lone.publish(queue="q", payload={}, job_id="j")
    redis_client.client_kill_filter(_id=str(first))
    job = await lone.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    await lone.aclose()
    await aomniq.ack_success(queue="q", job_id="j", lease_token=job.lease_token)


async def test_a_ready_client_lends_its_own_connections_to_one_alone(server: RealServer) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as ready, AsyncOmniqClient(redis=ready) as aomniq:
        lone = alone(aomniq)
        assert lone.redis is ready
        await lone.aclose()
        assert not await aomniq.is_paused(queue="q")
