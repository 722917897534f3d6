from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import psutil
import pytest
import redis
import uvloop
from consuming import QUICK, slow
from eventually import eventually, eventually_async
from real_server import RealServer

from omniq_flow.errors import InputError, OutOfRange, ServerUnreachable
from omniq_flow.queue import AsyncJobContext, AsyncOmniqClient, JobContext, OmniqClient, ReserveJob, wake_up


@pytest.fixture
async def aomniq(server: RealServer) -> AsyncIterator[AsyncOmniqClient]:
    async with AsyncOmniqClient(server.url) as client:
        yield client


def state(client: redis.Redis, job_id: str) -> tuple[bytes | None, ...]:
    return tuple(client.hmget(f"{{q}}:job:{job_id}", "state", "attempt"))  # type: ignore[arg-type]


async def rounds_of_the_loop() -> None:
    """Let whatever is ready on the loop have its turns."""
    for _ in range(50):
        await asyncio.sleep(0)


async def asleep(client: redis.Redis, count: int = 1) -> None:
    await eventually_async(lambda: client.info("clients")["blocked_clients"] == count, "the consumer sleeps")


async def test_an_async_handler_is_given_the_job(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop, given = asyncio.Event(), list[AsyncJobContext]()

    async def handler(ctx: AsyncJobContext) -> None:
        given.append(ctx)
        await ctx.exec.publish(queue="other", payload={}, job_id="b")
        stop.set()

    await aomniq.publish(queue="q", payload={"page": 3}, job_id="a", gid="g")
    await aomniq.consume(queue="q", handler=handler, stop=stop, **slow())
    (ctx,) = given
    assert (ctx.queue, ctx.job_id, ctx.gid, ctx.payload, ctx.attempt, ctx.max_attempts) == ("q", "a", "g", {"page": 3}, 1, 3)
    assert state(redis_client, "a") == (b"completed", b"1")
    assert redis_client.exists("{other}:job:b")


async def test_a_plain_handler_runs_in_a_thread_and_acts_through_the_loop(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop, loop, threads = asyncio.Event(), asyncio.get_running_loop(), list[threading.Thread]()

    def handler(ctx: JobContext) -> None:
        threads.append(threading.current_thread())
        ctx.exec.publish(queue="other", payload={}, job_id="b")
        ctx.exec.child_init("key", 1)
        assert ctx.exec.child_ack("key") == 0
        loop.call_soon_threadsafe(stop.set)

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.consume(queue="q", handler=handler, stop=stop, **slow())
    assert threads[0] is not threading.current_thread()
    assert state(redis_client, "a") == (b"completed", b"1")
    assert redis_client.exists("{other}:job:b")


async def test_errors_fail_the_attempt(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop = asyncio.Event()

    async def handler(ctx: AsyncJobContext) -> None:
        match ctx.payload[0]:
            case "error":
                raise ValueError("no")
            case "exit":
                raise SystemExit(3)
            case "cancel":
                raise asyncio.CancelledError
            case _:
                stop.set()

    for kind in ("error", "exit", "cancel", "last"):
        await aomniq.publish(queue="q", payload=[kind], job_id=kind, max_attempts=1)
    await aomniq.consume(queue="q", handler=handler, stop=stop, **slow())
    errors = [redis_client.hget(f"{{q}}:job:{kind}", "last_error") for kind in ("error", "exit", "cancel", "last")]
    assert errors == [b"ValueError: no", b"SystemExit: 3", b"RuntimeError: the handler cancelled itself", None]


async def test_errors_of_plain_handlers_fail_the_attempt_too(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    def handler(_ctx: JobContext) -> None:
        raise SystemExit(3)

    await aomniq.publish(queue="q", payload={}, job_id="a", max_attempts=1)
    async with consuming(aomniq, handler):
        await eventually_async(lambda: state(redis_client, "a")[0] == b"failed", "the job failed")
    assert redis_client.hget("{q}:job:a", "last_error") == b"SystemExit: 3"


class consuming:  # noqa: N801 - read as a statement
    """Consume in a task while the block runs, then cancel it."""

    def __init__(self, client: AsyncOmniqClient, handler: Any, **options: Any) -> None:
        self.lines: list[str] = []
        self._options: dict[str, Any] = {"queue": "q", "handler": handler, "logger": self.lines.append, **QUICK, **options}
        self._client = client

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._client.consume(**self._options))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def told(self, text: str) -> None:
        await eventually_async(lambda: any(text in line for line in self.lines), f"{text!r} is told")


async def test_an_idle_consumer_is_woken_by_a_publish(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async with consuming(aomniq, lambda ctx: None, **slow()):
        await asleep(redis_client)
        await aomniq.publish(queue="q", payload={}, job_id="a")
        await eventually_async(lambda: state(redis_client, "a")[0] == b"completed", "the job is done", timeout=5)


async def test_many_sleepers_leave_the_connections_to_the_others(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop = asyncio.Event()
    consumers = [asyncio.create_task(aomniq.consume(queue="q", handler=print, stop=stop, **slow())) for _ in range(70)]
    await asleep(redis_client, 70)
    assert await asyncio.wait_for(aomniq.is_paused(queue="q"), 5) is False
    stop.set()
    await asyncio.gather(*consumers)


async def test_several_at_once_handle_several_jobs_at_once(aomniq: AsyncOmniqClient) -> None:
    stop, together = asyncio.Event(), asyncio.Barrier(3)

    async def handler(_ctx: AsyncJobContext) -> None:
        await together.wait()
        stop.set()

    for _ in range(3):
        await aomniq.publish(queue="q", payload={})
    await asyncio.gather(*(aomniq.consume(queue="q", handler=handler, stop=stop, **slow()) for _ in range(3)))


async def extended(client: redis.Redis, lock_until_ms: int) -> None:
    def later() -> bool:
        return int(client.hget("{q}:job:a", "lock_until_ms") or 0) > lock_until_ms + 200

    await eventually_async(later, "the lease is extended")


async def test_the_lease_is_extended_while_an_async_handler_runs(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async def handler(ctx: AsyncJobContext) -> None:
        await extended(redis_client, ctx.lock_until_ms)

    await aomniq.publish(queue="q", payload={}, job_id="a", timeout_ms=100)
    async with consuming(aomniq, handler):
        await eventually_async(lambda: state(redis_client, "a") == (b"completed", b"1"), "the first attempt succeeds")


async def test_the_lease_is_extended_while_a_plain_handler_blocks(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    def handler(ctx: JobContext) -> None:
        asyncio.run(extended(redis_client, ctx.lock_until_ms))

    await aomniq.publish(queue="q", payload={}, job_id="a", timeout_ms=100)
    async with consuming(aomniq, handler):
        await eventually_async(lambda: state(redis_client, "a") == (b"completed", b"1"), "the first attempt succeeds")


async def test_a_lost_lease_is_told_and_nothing_recorded(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async def handler(_ctx: AsyncJobContext) -> None:
        await aomniq.reap_expired(queue="q", now_ms_override=10**14)
        redis_client.zadd("{q}:delayed", {"a": 1})
        await aomniq.promote_delayed(queue="q")
        assert isinstance(await aomniq.reserve(queue="q"), ReserveJob)
        await consumer.told("its lease was lost while it ran here")

    await aomniq.publish(queue="q", payload={}, job_id="a", timeout_ms=300)
    async with consuming(aomniq, handler, reap_interval_s=600) as consumer:
        await consumer.told("its lease was lost")
        await asleep(redis_client)
    assert state(redis_client, "a") == (b"active", b"2")
    assert len(consumer.lines) == 1


async def test_a_server_in_trouble_costs_a_pause_and_a_line_never_the_consumer(spare_server: Callable[..., RealServer]) -> None:
    spare, done = spare_server(), asyncio.Event()

    async def handler(_ctx: AsyncJobContext) -> None:
        done.set()

    async with AsyncOmniqClient(spare.url) as client:
        await client.check()
        async with consuming(client, handler) as consumer:
            spare.kill()
            await consumer.told("is the server running there?")
            spare.restart()
            await consumer.told("the server answers again")
            await client.publish(queue="q", payload={})
            await asyncio.wait_for(done.wait(), 10)


async def test_cancelled_it_cancels_the_handler_and_gives_the_job_back(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    begun, seen = asyncio.Event(), list[str]()

    async def handler(_ctx: AsyncJobContext) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    await aomniq.publish(queue="q", payload={}, job_id="a")
    async with consuming(aomniq, handler, **slow()):
        await begun.wait()
    assert seen == ["cleaned up"]
    assert state(redis_client, "a") == (b"wait", b"0")


async def test_cancelled_in_the_middle_of_a_reserve_it_gives_the_job_back(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    reached, go_on, run = asyncio.Event(), asyncio.Event(), aomniq.run

    async def slow_run(operation: Any) -> Any:
        result = await run(operation)
        if operation.script.name == "reserve":
            reached.set()
            await go_on.wait()
        return result

    aomniq.run = slow_run  # type: ignore[method-assign]
    await aomniq.publish(queue="q", payload={}, job_id="a")
    async with consuming(aomniq, print, **slow()) as consumer:
        await reached.wait()
        consumer.task.cancel()
        go_on.set()
    assert state(redis_client, "a") == (b"wait", b"0")


async def test_cancelled_twice_it_leaves_at_once(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def stubborn(_ctx: AsyncJobContext) -> None:
        begun.set()
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                begun.clear()

    await aomniq.publish(queue="q", payload={}, job_id="a")
    async with consuming(aomniq, stubborn, **slow()) as consumer:
        await begun.wait()
        consumer.task.cancel()
        await eventually_async(lambda: not begun.is_set(), "the handler refuses to be cancelled")
    assert state(redis_client, "a") == (b"active", b"1")
    over.set()


@pytest.mark.parametrize("drain, expected", [(True, (b"completed", b"1")), (False, (b"wait", b"0"))])
async def test_an_event_stops_it(aomniq: AsyncOmniqClient, redis_client: redis.Redis, drain: bool, expected: tuple[bytes, bytes]) -> None:
    stop = asyncio.Event()

    async def handler(_ctx: AsyncJobContext) -> None:
        stop.set()
        await (rounds_of_the_loop() if drain else asyncio.Event().wait())

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.publish(queue="q", payload={}, job_id="b")
    await aomniq.consume(queue="q", handler=handler, stop=stop, drain=drain, **slow())
    assert state(redis_client, "a") == expected
    assert state(redis_client, "b") == (b"wait", b"0")


async def test_an_event_ends_a_sleep_at_once(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop = asyncio.Event()
    consumer = asyncio.create_task(aomniq.consume(queue="q", handler=print, stop=stop, **slow()))
    await asleep(redis_client)
    begun = time.monotonic()
    stop.set()
    await consumer
    assert time.monotonic() - begun < wake_up.LONGEST_S / 2


async def test_a_handler_that_ends_well_when_cut_off_has_done_its_job(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop = asyncio.Event()

    async def handler(_ctx: AsyncJobContext) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.consume(queue="q", handler=handler, stop=stop, drain=False, **slow())
    assert state(redis_client, "a") == (b"completed", b"1")


async def test_a_handler_that_raises_when_cut_off_was_cut_off(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    stop = asyncio.Event()

    async def handler(_ctx: AsyncJobContext) -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("half done") from None

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.consume(queue="q", handler=handler, stop=stop, drain=False, **slow())
    assert state(redis_client, "a") == (b"wait", b"0")


async def test_what_runs_in_a_thread_is_left_to_its_lease(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    loop, stop, over, lines = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), list[str]()

    def handler(_ctx: JobContext) -> None:
        loop.call_soon_threadsafe(stop.set)
        over.wait(20)

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.consume(queue="q", handler=handler, stop=stop, drain=False, **slow(logger=lines.append))
    over.set()
    assert state(redis_client, "a") == (b"active", b"1")
    assert lines == ["queue q: job a: left running in its thread: it is tried again when its lease has run out"]


@pytest.mark.parametrize("loop_of", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_consumers_of_the_loop(
    server: RealServer, redis_client: redis.Redis, loop_of: Callable[[], asyncio.AbstractEventLoop], number: int
) -> None:
    found = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]

    def kill() -> None:
        eventually(lambda: redis_client.info("clients")["blocked_clients"] == 3, "all sleep")
        os.kill(os.getpid(), number)

    async def main() -> None:
        async with AsyncOmniqClient(server.url) as client:
            await asyncio.gather(*(client.consume(queue=queue, handler=print, **slow()) for queue in "abc"))

    killer = threading.Thread(target=kill)
    killer.start()
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=loop_of) as runner:
        runner.run(main())
    killer.join()
    assert time.monotonic() - begun < wake_up.LONGEST_S / 2
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == found


async def test_signals_drain_then_force(aomniq: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async def handler(_ctx: AsyncJobContext) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await rounds_of_the_loop()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    await aomniq.publish(queue="q", payload={}, job_id="a")
    await aomniq.consume(queue="q", handler=handler, **slow())
    assert state(redis_client, "a") == (b"wait", b"0")


async def test_a_call_that_hangs_is_cut_off_by_one_signal_more(spare_server: Callable[..., RealServer]) -> None:
    spare, lines = spare_server(), list[str]()

    async def handler(_ctx: AsyncJobContext) -> None:
        os.kill(spare.process.pid, signal.SIGSTOP)

    async def signals() -> None:
        await eventually_async(lambda: psutil.Process(spare.process.pid).status() == psutil.STATUS_STOPPED, "the server is mute")
        for _ in range(3):
            await rounds_of_the_loop()
            os.kill(os.getpid(), signal.SIGTERM)

    async with AsyncOmniqClient(spare.url) as client:
        await client.publish(queue="q", payload={}, job_id="a")
        begun = time.monotonic()
        await asyncio.gather(client.consume(queue="q", handler=handler, logger=lines.append), signals())
        assert time.monotonic() - begun < 5
        os.kill(spare.process.pid, signal.SIGCONT)
    assert lines == ["queue q: stopped at once, in the middle of a call"]


async def test_what_cannot_be_is_told_before_anything_is_sent() -> None:
    async with AsyncOmniqClient(host="127.0.0.1", port=1) as nobody:
        with pytest.raises(InputError):
            await nobody.consume(queue="q", handler=5)  # type: ignore[arg-type]
        with pytest.raises(OutOfRange):
            await nobody.consume(queue="q", handler=print, poll_interval_s=0)
        with pytest.raises(ServerUnreachable):
            await nobody.consume(queue="q", handler=print)


async def test_both_kinds_of_client_share_a_queue(aomniq: AsyncOmniqClient, omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    async with consuming(aomniq, lambda ctx: None):
        await eventually_async(lambda: state(redis_client, "a")[0] == b"completed", "the job is done")
