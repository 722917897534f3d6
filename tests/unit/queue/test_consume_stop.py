"""How a blocking consumer is stopped: by signals in the main thread, by an event elsewhere."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from consuming import consuming, slow
from eventually import eventually
from queue_seed import Seed
from real_server import RealServer

from omniq_flow.queue import JobContext, OmniqClient, course, wake_up


def state(client: redis.Redis, job_id: str) -> tuple[bytes | None, ...]:
    return tuple(client.hmget(f"{{q}}:job:{job_id}", "state", "attempt"))  # type: ignore[arg-type]


def signal_me(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@contextmanager
def signalled_when(condition: Callable[[], object], what: str) -> Generator[None]:
    """Signal the main thread from another one as soon as something is so, and again and again until the block is left."""
    left = threading.Event()

    def watch() -> None:
        eventually(condition, what)
        while not left.wait(0.01):
            signal_me()

    watcher = threading.Thread(target=watch, name="watcher")
    found = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()
        signal.signal(signal.SIGTERM, found)


@pytest.fixture(autouse=True)
def handlers_are_put_back() -> Generator[None]:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drained_consumer_finishes_what_runs_and_begins_nothing(omniq: OmniqClient, redis_client: redis.Redis, number: int) -> None:
    ended: list[str] = []

    def handler(ctx: JobContext) -> None:
        signal_me(number)
        ended.append(ctx.job_id)

    for job_id in "ab":
        omniq.publish(queue="q", payload={}, job_id=job_id)
    omniq.consume(queue="q", handler=handler, **slow())
    assert ended == ["a"]
    assert state(redis_client, "a") == (b"completed", b"1")
    assert state(redis_client, "b") == (b"wait", b"0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_drain_the_handler_is_cut_off_and_its_job_given_back_unspent(
    omniq: OmniqClient, redis_client: redis.Redis, number: int
) -> None:
    seen: list[str] = []

    def handler(_ctx: JobContext) -> None:
        try:
            signal_me(number)
            threading.Event().wait(60)
        finally:
            seen.append("cleaned up")

    omniq.publish(queue="q", payload={}, job_id="a")
    lines: list[str] = []
    omniq.consume(queue="q", handler=handler, drain=False, **slow(logger=lines.append))
    assert seen == ["cleaned up"]
    assert state(redis_client, "a") == (b"wait", b"0")
    assert lines == ["queue q: job a: cut off and given back"]


def test_a_second_signal_forces(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def handler(_ctx: JobContext) -> None:
        signal_me()
        signal_me(signal.SIGINT)
        threading.Event().wait(60)

    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.consume(queue="q", handler=handler, **slow())
    assert state(redis_client, "a") == (b"wait", b"0")


def test_a_handler_may_refuse_to_be_cut_off(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def handler(_ctx: JobContext) -> None:
        try:
            signal_me()
            threading.Event().wait(60)
        except BaseException:  # noqa: BLE001 - what is tested
            pass

    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.consume(queue="q", handler=handler, drain=False, **slow())
    assert state(redis_client, "a") == (b"completed", b"1")


@pytest.mark.parametrize("drain", [True, False])
def test_an_idle_consumer_leaves_at_once(omniq: OmniqClient, redis_client: redis.Redis, drain: bool) -> None:
    def asleep() -> bool:
        return bool(redis_client.info("clients")["blocked_clients"])

    begun = time.monotonic()
    with signalled_when(asleep, "the consumer sleeps"):
        omniq.consume(queue="q", handler=print, drain=drain, **slow())
    assert time.monotonic() - begun < wake_up.LONGEST_S / 2


def test_a_consumer_that_waits_for_the_server_leaves_at_once(
    spare_server: Callable[..., RealServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "FIRST_PAUSE_S", 60)
    spare, lines = spare_server(), list[str]()
    with OmniqClient(spare.url) as client:
        client.check()
        with spare.client() as raw:
            raw.config_set("min-replicas-to-write", 1)
        with signalled_when(lambda: lines, "it waits"):
            client.consume(queue="q", handler=print, logger=lines.append)
    assert "trying again in 60 s" in lines[0]


def test_a_call_that_hangs_is_cut_off_by_one_signal_more(spare_server: Callable[..., RealServer]) -> None:
    spare, lines = spare_server(), list[str]()
    stuck = threading.Event()

    def handler(_ctx: JobContext) -> None:
        os.kill(spare.process.pid, signal.SIGSTOP)
        stuck.set()

    with OmniqClient(spare.url) as client:
        client.publish(queue="q", payload={}, job_id="a")
        with signalled_when(stuck.is_set, "the server hangs"):
            client.consume(queue="q", handler=handler, logger=lines.append)
        os.kill(spare.process.pid, signal.SIGCONT)
    assert lines[-1] == "queue q: stopped at once, in the middle of a call"


def test_a_job_that_comes_together_with_the_stop_goes_back_unbegun(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    stop, begun = threading.Event(), list[str]()
    omniq.publish(queue="q", payload={}, job_id="a")
    reserve = omniq.run

    def run_and_stop(operation: Any) -> Any:
        result = reserve(operation)
        if operation.script.name == "reserve":
            stop.set()
        return result

    omniq.run = run_and_stop  # type: ignore[method-assign]
    omniq.consume(queue="q", handler=lambda ctx: begun.append(ctx.job_id), stop=stop, **slow())
    assert begun == []
    assert state(redis_client, "a") == (b"wait", b"0")


def test_a_stop_that_is_set_already_takes_nothing(omniq: OmniqClient, redis_client: redis.Redis, seed: Seed) -> None:
    stop = threading.Event()
    stop.set()
    seed.job("a", "wait")
    omniq.consume(queue="q", handler=print, stop=stop, **slow())
    assert redis_client.hget("{q}:job:a", "state") == b"wait"


def test_signals_can_be_left_alone(omniq: OmniqClient) -> None:
    found: list[Any] = []
    stop = threading.Event()

    def handler(_ctx: JobContext) -> None:
        found.append(signal.getsignal(signal.SIGTERM))
        stop.set()

    omniq.publish(queue="q", payload={})
    omniq.consume(queue="q", handler=handler, stop=stop, signals=False, **slow())
    assert found == [signal.getsignal(signal.SIGTERM)]


def test_an_interrupt_from_the_keyboard_gives_the_job_back(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def handler(_ctx: JobContext) -> None:
        raise KeyboardInterrupt

    omniq.publish(queue="q", payload={}, job_id="a")
    with pytest.raises(KeyboardInterrupt):
        omniq.consume(queue="q", handler=handler, signals=False, **slow())
    assert state(redis_client, "a") == (b"wait", b"0")


def test_outside_the_main_thread_signals_are_not_touched(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[Any] = []
    omniq.publish(queue="q", payload={}, job_id="a")
    with consuming(omniq, lambda ctx: found.append(signal.getsignal(signal.SIGTERM)), drain=False):
        eventually(lambda: state(redis_client, "a")[0] == b"completed", "the job is done")
    assert found == [before]


def test_outside_the_main_thread_a_handler_ends_before_the_consumer_does(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def handler(_ctx: JobContext) -> None:
        consumer.stop.set()

    with consuming(omniq, handler, drain=False) as consumer:
        omniq.publish(queue="q", payload={}, job_id="a")
        eventually(lambda: state(redis_client, "a")[0] == b"completed", "the job is done")


def test_a_process_forked_by_a_handler_ends_at_a_signal_as_ever(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def handler(_ctx: JobContext) -> None:
        child = os.fork()
        if child == 0:
            signal_me()
            threading.Event().wait(20)
            os._exit(0)
        statuses.append(os.waitpid(child, 0)[1])
        stop.set()

    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.consume(queue="q", handler=handler, stop=stop, **slow())
    assert [os.WTERMSIG(status) for status in statuses] == [signal.SIGTERM]
    assert state(redis_client, "a") == (b"completed", b"1")


def test_a_handler_that_consumes_is_told_too(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    def inner(_ctx: JobContext) -> None:
        signal_me()

    omniq.publish(queue="q", payload={}, job_id="a")
    omniq.publish(queue="inner", payload={}, job_id="b")
    omniq.consume(queue="q", handler=lambda ctx: omniq.consume(queue="inner", handler=inner, **slow()), **slow())
    assert state(redis_client, "a") == (b"completed", b"1")
    assert redis_client.hget("{inner}:job:b", "state") == b"completed"
