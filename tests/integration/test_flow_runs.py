"""Handles of runs: keys, ids, waiting, and how long a run is kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
import redis
from eventually import eventually
from gate import Gate
from real_server import RealServer

from omniq_flow import Session, connect, disconnect, flow, get_run, step, worker
from omniq_flow.errors import InvalidId, KeyConflict, ResultTimeout, RunFailed, RunNotFound, ServerUnreachable
from omniq_flow.runtime import watch
from omniq_flow.runtime.index import newest_runs
from omniq_flow.runtime.presence import workers_of

calls: Counter[str] = Counter()
gate = Gate()


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    calls.clear()
    gate.clear()


@step
def double(x: int) -> int:
    calls["double"] += 1
    return 2 * x


@step
async def held(x: int) -> int:
    await gate.passed()
    return x


@step
def add(xs: list[int]) -> int:
    return sum(xs)


@flow
def doubled(x: int) -> int:
    return double(x)


@flow
def fanned(xs: list[int]) -> int:
    return add(double.map(xs))


@flow
def holding(x: int) -> int:
    return add([held(x), double(x)])


def test_the_same_key_and_arguments_are_the_same_run(session: Session) -> None:
    first = doubled.opts(key="s3://a/b").start(4)
    again = doubled.opts(key="s3://a/b").start(x=4)
    assert first.id == again.id
    assert doubled.opts(key="s3://a/c").start(4).id != first.id
    assert doubled.start(4).id != doubled.start(4).id
    with worker(doubled):
        assert first.result(timeout=10) == again.result(timeout=10) == 8
    assert doubled.opts(key="s3://a/b").start(4).result(timeout=1) == 8, "also when it has ended"
    assert first.head().key == "s3://a/b"
    assert calls["double"] == 4


def test_other_arguments_with_a_key_are_a_conflict(session: Session) -> None:
    doubled.opts(key="k").start(4)
    with pytest.raises(KeyConflict, match=r"key 'k' names run k\w+, which was started with other arguments: use another key"):
        doubled.opts(key="k").start(5)
    assert fanned.opts(key="k").start([1]).id != doubled.opts(key="k").start(4).id, "keys belong to flows"


@pytest.mark.parametrize("key", ["", "a{b", "a\n", "x" * 513])
def test_a_key_that_cannot_be_one_is_refused(lone_session: Session, key: str) -> None:
    with pytest.raises(InvalidId):
        doubled.opts(key=key).start(4)
    assert lone_session.client.redis.dbsize() == 0


def test_twenty_threads_that_start_the_same_key_start_one_run(session: Session) -> None:
    barrier = threading.Barrier(20)

    def start(k: int) -> str:
        barrier.wait()
        return fanned.opts(key="once").start(list(range(600))).id

    with worker(fanned), ThreadPoolExecutor(20) as threads:
        (run_id,) = set(threads.map(start, range(20)))
        assert get_run(run_id).result(timeout=20) == 600 * 599
    assert calls["double"] == 600
    assert len(list(session.client.redis.scan_iter("{run:*}:meta"))) == 1


def test_many_starts_from_many_threads_and_loops(session: Session) -> None:
    async def many(base: int) -> list[int]:
        runs = await asyncio.gather(*(doubled.astart(base + k) for k in range(20)))
        results = await asyncio.gather(*(run.aresult(timeout=20) for run in runs))
        await session.aclose()
        return list(results)

    with worker(doubled), ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda base: asyncio.run(many(base)), range(0, 80, 20)))
    assert sorted(chain.from_iterable(results)) == [2 * x for x in range(80)]


def test_a_run_is_found_by_its_id(session: Session) -> None:
    with worker(fanned):
        run = fanned.start([1, 2])
        found = get_run(run.id)
        assert found.result(timeout=10) == run.result(timeout=10) == 6
        assert found.status() == "succeeded"
        assert [node.name for node in found.nodes()] == ["double", "add"]
        assert fanned.handle(run.id, session).result(timeout=1) == 6
    assert repr(found) == f"Run('{run.id}')"


def test_a_run_that_is_not_there_says_so(session: Session) -> None:
    run = get_run("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    for ask in (run.status, run.result, run.nodes, run.cancel, run.retry, run.wait, run.head, run.graph):
        with pytest.raises(RunNotFound, match="is not kept on this server"):
            ask()
    assert session.client.redis.dbsize() == 0
    for odd in ("", "a}{b", "x" * 600):
        with pytest.raises(InvalidId):
            get_run(odd)


async def test_a_run_that_is_not_there_says_so_to_async_code(session: Session) -> None:
    run = get_run("nobody")
    for ask in (run.astatus, run.aresult, run.await_, run.acancel, run.aretry):
        with pytest.raises(RunNotFound):
            await ask()
    await session.aclose()


def test_a_result_that_does_not_come_in_time_can_be_asked_for_again(session: Session) -> None:
    with worker(holding):
        run = holding.start(3)
        began = time.monotonic()
        with pytest.raises(ResultTimeout, match=r"did not end within 0\.05 s; it goes on"):
            run.result(timeout=0.05)
        with pytest.raises(TimeoutError):
            run.result(timeout=0)
        assert time.monotonic() - began < 1
        assert run.status() == "running"
        gate.set()
        assert run.result(timeout=10) == 9


async def test_async_results_time_out_too(session: Session) -> None:
    with worker(holding):
        run = await holding.astart(3)
        with pytest.raises(ResultTimeout):
            await run.aresult(timeout=0.05)
        gate.set()
        assert await run.aresult(timeout=10) == 9
    await session.aclose()


def test_many_may_wait_for_one_run(session: Session) -> None:
    with worker(holding), ThreadPoolExecutor(8) as threads:
        run = holding.start(3)
        waiting = [threads.submit(get_run(run.id).result, 20) for _ in range(8)]
        gate.set()
        assert [each.result() for each in waiting] == [9] * 8


def test_nodes_tell_states_counts_and_times(session: Session) -> None:
    run = holding.start(3)
    assert [(node.name, node.state) for node in run.nodes()] == [("held", "ready"), ("double", "ready"), ("add", "waiting")]
    with worker(holding):
        eventually(lambda: run.nodes()[1].state == "succeeded" and run.nodes()[0].state == "running", "one is done and one runs")
        held_node, double_node, add_node = run.nodes()
        assert (held_node.attempts, held_node.running, double_node.attempts, add_node.attempts) == (1, 1, 1, 0)
        gate.set()
        run.result(timeout=10)
    for node in run.nodes():
        assert node.state == "succeeded"
        assert node.began_ms is not None
        assert node.ended_ms is not None
        assert node.began_ms <= node.ended_ms


def test_a_run_that_nobody_serves_tells_the_command(
    session: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "UNSERVED_AFTER_S", 0.05)
    monkeypatch.setattr(watch, "LOOK_AGAIN_S", 0.02)
    run = doubled.start(1)
    with caplog.at_level(logging.WARNING, "omniq_flow"):
        with pytest.raises(ResultTimeout):
            run.result(timeout=0.5)
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        f"run {run.id} waits: no worker serves queue 'default'. Start one in another terminal:\n"
        "    omniq-flow worker tests.integration.test_flow_runs"
    )


def test_a_served_run_is_waited_for_without_a_word(
    session: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "UNSERVED_AFTER_S", 0.05)
    monkeypatch.setattr(watch, "LOOK_AGAIN_S", 0.02)
    with worker(holding), caplog.at_level(logging.WARNING, "omniq_flow"):
        eventually(lambda: session.client.run(workers_of("default")), "the worker has told that it is there")
        with pytest.raises(ResultTimeout):
            holding.start(1).result(timeout=0.3)
        gate.set()
    assert not [record for record in caplog.records if "waits" in record.getMessage()]


@flow(queue="odd-queue")
def elsewhere(x: int) -> int:
    return double.opts(queue="other.queue")(double(x))


def test_steps_run_in_the_queues_that_they_name(session: Session) -> None:
    run = elsewhere.start(2)
    assert session.client.redis.exists("{odd-queue}:wait", "{other.queue}:wait") == 1
    with worker(elsewhere):
        assert run.result(timeout=10) == 8
        other = elsewhere.opts(queue="third").start(2)
        assert other.head().queue == "third"
        with worker(elsewhere, queues=["third"]):
            assert other.result(timeout=10) == 8
    assert session.client.redis.exists("{default}:stats") == 0


def test_an_ended_run_is_kept_as_long_as_it_says_and_then_all_of_it_is_gone(session: Session, redis_client: redis.Redis) -> None:
    with worker(fanned, janitor=0.05):
        run = fanned.opts(keep=1).start(list(range(700)))
        assert run.result(timeout=20) == 700 * 699
        keys = list(redis_client.scan_iter(f"{{run:{run.id}}}:*"))
        assert {key.rpartition(b"}:")[2] for key in keys} >= {b"meta", b"nodes", b"out", b"out:1", b"list:0", b"keys"}
        assert all(0 < redis_client.pttl(key) <= 1000 for key in keys)
        eventually(lambda: not list(redis_client.scan_iter(f"*{run.id}*:*")), "its term is over")
        with pytest.raises(RunNotFound):
            run.status()
        eventually(lambda: not list(redis_client.scan_iter("{runs:*}:*")), "the indexes forget it")


def test_retrying_a_run_takes_its_expiry_away(session: Session, redis_client: redis.Redis) -> None:
    run = holding.opts(keep=60).start(1)
    run.cancel()
    base = f"{{run:{run.id}}}"
    assert all(redis_client.pttl(key) > 0 for key in redis_client.scan_iter(f"{base}:*"))
    assert run.retry()
    assert all(redis_client.pttl(key) == -1 for key in redis_client.scan_iter(f"{base}:*"))
    gate.set()
    with worker(holding):
        assert run.result(timeout=10) == 3
    assert all(redis_client.pttl(key) > 0 for key in redis_client.scan_iter(f"{base}:*"))


def test_plans_outlive_the_runs_that_need_them(session: Session, redis_client: redis.Redis) -> None:
    doubled.opts(keep=90 * 86400).start(1)
    key = f"{{plan:{doubled.compiled.fingerprint}}}"
    assert redis_client.pttl(key) > 90 * 86_400_000
    connect(session.url, one_server=session.one_server)
    doubled.start(1)
    assert redis_client.pttl(key) > 90 * 86_400_000, "a run with a shorter term takes nothing away"


def test_the_newest_runs_are_listed(session: Session) -> None:
    with worker(doubled):
        ended = [doubled.start(x) for x in range(5)]
        for run in ended:
            run.result(timeout=10)
    live = holding.start(1)
    found = newest_runs(session.client, 10)
    assert {run_id for run_id, _ in found} == {live.id, *(run.id for run in ended)}
    assert found[0][0] == live.id
    assert len(newest_runs(session.client, 3)) == 3


def test_waiting_survives_cut_connections(session: Session, redis_client: redis.Redis) -> None:
    with worker(holding), ThreadPoolExecutor(1) as threads:
        run = holding.start(3)
        waiting = threads.submit(run.result, 20)
        eventually(lambda: redis_client.pubsub_channels("*ended"), "it listens")
        for _ in range(3):
            redis_client.client_kill_filter(_type="pubsub")
            redis_client.client_kill_filter(_type="normal", skipme=True)
        gate.set()
        assert waiting.result() == 9


def test_a_server_that_is_gone_is_told_in_our_own_words(spare_server: Callable[[], RealServer]) -> None:
    spare = spare_server()
    connect(spare.url)
    try:
        run = doubled.start(1)
        spare.kill()
        for ask in (run.status, run.result, lambda: doubled.start(2)):
            with pytest.raises(ServerUnreachable):
                ask()
        with pytest.raises(ServerUnreachable), worker(doubled):
            pytest.fail("a worker cannot begin without a server")
    finally:
        disconnect()


def test_a_loop_that_ends_without_closing_says_nothing(session: Session) -> None:
    """As in scripts: asyncio.run(flow.astart(...))."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = asyncio.run(doubled.astart(1))
        gc.collect()
    with worker(doubled):
        assert run.result(timeout=10) == 2


def test_a_failed_start_leaves_nothing_to_run(session: Session) -> None:
    with pytest.raises(TypeError):
        doubled.start()  # type: ignore[call-arg]
    with worker(doubled, burst=True):
        pass
    assert not list(session.client.redis.scan_iter("{run:*"))


def test_a_failed_run_can_be_asked_again_and_again(session: Session) -> None:
    @step
    def fails() -> None:
        raise ValueError("no")

    @flow
    def failing() -> None:
        fails()

    with worker(failing):
        run = failing.opts(key="f").start()
        for _ in range(2):
            with pytest.raises(RunFailed, match="ValueError: no"):
                run.result(timeout=10)
        assert failing.opts(key="f").start().id == run.id, "a key names its run, failed or not"


def test_a_plan_that_the_server_has_lost_is_no_loss_where_the_flow_is_at_hand(session: Session) -> None:
    with worker(doubled):
        run = doubled.start(1)
        assert run.result(timeout=20) == 2
        plan = run.plan()
        session.client.redis.delete(f"{{plan:{plan.fingerprint}}}")
        again = doubled.start(2)
        assert again.result(timeout=20) == 4
        assert again.plan() == plan
