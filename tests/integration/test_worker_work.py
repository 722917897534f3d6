"""Workers at work: several at once, with foreign jobs, pauses, lost keys, damaged keys and cut connections."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from eventually import eventually
from gate import Gate
from keyspace import changes, keyspace
from real_server import RealServer

from omniq_flow import Flow, Limit, Run, Session, connect, fixed, flow, step, worker
from omniq_flow.errors import RunFailed, ServerRefused
from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.keys import SHARDS, ended_index
from omniq_flow.worker import timers
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.worker import Worker

calls: Counter[object] = Counter()
gate = Gate()


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    calls.clear()
    gate.clear()


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
async def double(x: int) -> int:
    calls[x] += 1
    return 2 * x


@step
async def held(x: int) -> int:
    calls["held", x] += 1
    await gate.passed()
    return x


@step
def total(xs: list[int]) -> int:
    return sum(xs)


@step(limit=Limit("tenant", 1))
async def grouped(x: int, tenant: str) -> int:
    calls["grouped", x] += 1
    return x


@step(retries=1, backoff=fixed(0.4))
def second_time(x: int) -> int:
    calls["second", x] += 1
    if calls["second", x] == 1:
        raise ValueError("once more")
    return x


@flow
def fan_out(n: int) -> int:
    return total(double.map(numbers(n)))


@flow
def holding(n: int) -> int:
    return total(held.map(numbers(n)))


@flow
def held_then_grouped(n: int) -> int:
    return total(grouped.map(held.map(numbers(n)), "t"))


@flow
def twice(x: int) -> int:
    return second_time(x)


@flow(queue="other")
def elsewhere(x: int) -> int:
    return double(x)


def test_several_workers_do_each_child_once(session: Session) -> None:
    runs = [fan_out.start(200) for _ in range(3)]
    with worker(fan_out, concurrency=8), worker(fan_out, concurrency=8), worker(fan_out, concurrency=8):
        for run in runs:
            assert run.result(timeout=30) == 200 * 199
    assert set(calls.values()) == {3}


def test_concurrency_is_kept(session: Session) -> None:
    with worker(holding, concurrency=5):
        run = holding.start(30)
        eventually(lambda: len(calls) == 5, "five run")
        assert run.nodes()[1].running == 5
        gate.set()
        assert run.result(timeout=10) == 30 * 29 // 2


def test_a_burst_worker_leaves_when_nothing_is_left(session: Session) -> None:
    runs = [fan_out.start(20), twice.start(1)]
    with run_to_its_end(fan_out, twice, burst=True):
        pass
    assert [run.status() for run in runs] == ["succeeded", "succeeded"], "it waited for the delayed one"


def test_a_burst_worker_does_not_wait_for_jobs_that_it_cannot_do(session: Session) -> None:
    with OmniqClient(url=session.url) as client:
        client.publish(queue="default", payload={"not": "ours"}, job_id="foreign")
    run = fan_out.start(5)
    with run_to_its_end(fan_out, burst=True):
        pass
    assert run.status() == "succeeded"


@contextmanager
def run_to_its_end(*flows: Flow[..., Any], **options: Any) -> Generator[None]:
    """Run a burst worker until it leaves by itself."""
    with worker(*flows, **options):
        threads = [each for each in threading.enumerate() if each.name == "omniq_flow worker"]
        yield
        for each in threads:
            each.join(timeout=20)
            assert not each.is_alive(), "it left"


def flow_of(version: int) -> Flow[..., int]:
    """One flow in two versions: the same name, another plan."""

    @step(name="app.work")
    def work(x: int) -> int:
        calls[version] += 1
        return x + version

    if version == 1:

        @flow(name="app.versioned")
        def versioned(x: int) -> int:
            return work(x)
    else:

        @flow(name="app.versioned")
        def versioned(x: int) -> int:
            return work(work(x))

    return versioned


def test_a_run_is_served_by_code_that_has_its_plan(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    old, new = flow_of(1), flow_of(2)
    run = old.start(10)
    with worker(new), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        eventually(lambda: "which the code here does not have" in caplog.text, "the worker says so")
        assert new.start(10).result(timeout=10) == 14, "it does what it can do"
        with worker(old):
            assert run.result(timeout=20) == 11
    assert calls == {1: 1, 2: 2}
    assert run.nodes()[0].attempts == 1
    assert caplog.text.count("which the code here does not have") == 1, "said once"


@pytest.mark.parametrize("job_id", ["foreign", "looks/1/2/3", "a/1/2", "\u00fc/1/2/x"])
def test_a_job_that_is_no_runs_is_given_back(session: Session, caplog: pytest.LogCaptureFixture, job_id: str) -> None:
    with OmniqClient(url=session.url) as client:
        client.publish(queue="default", payload={"flow": "x"}, job_id=job_id, max_attempts=1)
        with worker(fan_out), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
            eventually(lambda: f"job {job_id} is no job of a run and is given back" in caplog.text, "the worker says so")
            assert fan_out.start(3).result(timeout=10) == 6
        raw = client.redis.hgetall(f"{{default}}:job:{job_id}")
        assert raw[b"state"] == b"delayed"
        assert raw[b"attempt"] == b"0"
        client.promote_delayed(queue="default", now_ms_override=10**13)
        job = client.reserve(queue="default")
        assert job is not None
        assert job.status == "JOB"
        assert (job.job_id, job.payload, job.attempt) == (job_id, '{"flow":"x"}', 1)
        client.ack_success(queue="default", job_id=job_id, lease_token=job.lease_token)


@pytest.mark.parametrize("job_id", ["r/01/0/0", "r/1/0/00", "r/s/1/0/0"])
def test_a_job_that_is_not_named_as_those_of_runs_are_is_given_back_whatever_it_carries(
    session: Session, caplog: pytest.LogCaptureFixture, job_id: str
) -> None:
    with OmniqClient(url=session.url) as client:
        client.publish(queue="default", payload={}, job_id=job_id)
        client.redis.hset(f"{{default}}:job:{job_id}", "plan", fan_out.compiled.fingerprint)
        with worker(fan_out), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
            eventually(lambda: f"job {job_id} is no job of a run and is given back" in caplog.text, "the worker says so")
        assert client.redis.hget(f"{{default}}:job:{job_id}", "state") == b"delayed"


def test_bytes_of_foreign_clients_that_are_no_text_stop_nobody(session: Session, redis_client: redis.Redis) -> None:
    name = b"\xff\xfe/1/2/3"
    redis_client.hset(
        b"{default}:job:" + name, mapping={"id": name, "payload": "{}", "state": "wait", "attempt": "0", "timeout_ms": "1000"}
    )
    redis_client.rpush("{default}:wait", name)
    redis_client.zadd("{default}:idx:wait", {name: 1})
    with worker(fan_out):
        assert fan_out.start(3).result(timeout=10) == 6
    redis_client.flushall()


def test_a_paused_queue_lets_nothing_begin(session: Session) -> None:
    with OmniqClient(url=session.url) as client, worker(holding):
        run = holding.start(3)
        eventually(lambda: len(calls) == 3, "the children run")
        client.pause(queue="default")
        gate.set()
        eventually(lambda: run.nodes()[1].state == "succeeded", "what runs is finished")
        assert run.nodes()[2].attempts == 0
        assert run.status() == "running"
        client.resume(queue="default")
        assert run.result(timeout=10) == 3


def test_a_lone_delayed_job_is_brought_back_on_time(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is busy all the time, on its only place, and hears of the due time in between."""
    monkeypatch.setattr(timers, "SLOWEST_S", 1000.0)
    with worker(twice, fan_out, concurrency=1):
        run = twice.start(1)
        eventually(lambda: calls["second", 1] == 1, "it failed once")
        for _ in range(5):
            fan_out.start(5).result(timeout=10)
        assert run.result(timeout=5) == 1


def jobs_of(redis_client: redis.Redis) -> list[bytes]:
    return list(redis_client.scan_iter("{default}:job:*"))


def lose_jobs(redis_client: redis.Redis) -> None:
    redis_client.delete(*jobs_of(redis_client))


def lose(*names: str) -> Callable[[redis.Redis], None]:
    def delete(redis_client: redis.Redis) -> None:
        redis_client.delete(*(f"{{default}}:{name}" for name in names))

    return delete


def lose_all(redis_client: redis.Redis) -> None:
    redis_client.delete(*redis_client.scan_iter("{default}:*"))


LOSSES = {
    "all job hashes": lose_jobs,
    "the wait list": lose("wait"),
    "the wait list and its index": lose("wait", "idx:wait"),
    "the index of waiting jobs": lose("idx:wait"),
    "leases": lose("active"),
    "leases and their index": lose("active", "idx:active"),
    "stats and counters": lose("stats", "lane:rr", "lease:seq", "has_groups"),
    "completed": lose("completed", "idx:completed"),
    "the whole queue": lose_all,
}


@pytest.mark.keeps_keys("{default}:job:*")  # completed ones, when their list is lost
@pytest.mark.parametrize("loss", LOSSES)
def test_a_queue_that_lost_keys_is_mended_and_its_runs_end(session: Session, redis_client: redis.Redis, loss: str) -> None:
    """Two children run, the rest wait, then the keys are gone."""
    with worker(holding, concurrency=2, janitor=0.1, lease=0.4):
        run = holding.start(9)
        eventually(lambda: len(calls) == 2, "two run")
        LOSSES[loss](redis_client)
        gate.set()
        assert run.result(timeout=20) == 36
    assert set(calls) == {("held", x) for x in range(9)}


@pytest.mark.parametrize("loss", ["wait list of the group", "ready groups", "in flight", "limit", "jobs"])
def test_a_group_that_lost_keys_is_mended(session: Session, redis_client: redis.Redis, loss: str) -> None:
    client = OmniqClient(redis=redis_client)
    run = held_then_grouped.start(4)
    gate.set()
    with worker(held_then_grouped, janitor=0.1, lease=0.4):
        eventually(lambda: run.nodes()[1].done == 4, "the group has work")
        client.pause(queue="default")
        lost = {
            "wait list of the group": ["g:tenant:t:wait"],
            "ready groups": ["groups:ready"],
            "in flight": ["g:tenant:t:inflight"],
            "limit": ["g:tenant:t:limit"],
            "jobs": [key.decode().partition(":")[2] for key in jobs_of(redis_client)],
        }[loss]
        redis_client.delete(*(f"{{default}}:{name}" for name in lost))
        client.resume(queue="default")
        assert run.result(timeout=20) == 6


def test_a_delayed_job_that_lost_its_lane_comes_back(session: Session, redis_client: redis.Redis) -> None:
    with worker(twice, janitor=0.1):
        run = twice.start(1)
        eventually(lambda: redis_client.zcard("{default}:delayed"), "it waits for its second attempt")
        redis_client.delete("{default}:delayed", "{default}:idx:delayed")
        assert run.result(timeout=20) == 1


def test_on_a_healthy_store_the_janitor_writes_nothing_but_its_turn(session: Session, redis_client: redis.Redis) -> None:
    with worker(holding, held_then_grouped, janitor=0.05, concurrency=3) as _:
        runs = [holding.start(6), held_then_grouped.start(3)]
        eventually(lambda: calls.total() == 3, "its places are taken")
        rounds = _rounds(redis_client)
        before = _lasting(redis_client)
        eventually(lambda: _rounds(redis_client) >= rounds + 20, "the janitor looked at both many times")
        assert changes(before, _lasting(redis_client)) == {}
        gate.set()
        assert [run.result(timeout=20) for run in runs] == [15, 3]


def _rounds(redis_client: redis.Redis) -> int:
    stats: Any = redis_client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


def _lasting(redis_client: redis.Redis) -> dict[str, Any]:
    """All keys but those that tell who is there and what was asked, which others write."""
    found = keyspace(redis_client)
    return {
        key: value
        for key, value in found.items()
        if not any(part in key for part in ("janitor", ":workers", ":plans", ":sent:", ":wake", ":stats"))
    }


def test_nothing_is_left_of_ended_runs_but_what_is_kept(session: Session, redis_client: redis.Redis) -> None:
    with worker(held_then_grouped, fan_out, twice, janitor=0.05):
        gate.set()
        runs: list[Run[int]] = [held_then_grouped.start(4), fan_out.start(300), twice.start(1)]
        for run in runs:
            run.result(timeout=20)
    left = {key.decode(): redis_client.pttl(key) for key in redis_client.scan_iter()}
    lasting = {key for key, ttl in left.items() if ttl == -1}
    named = {"completed", "idx:completed", "stats", "lane:rr", "lease:seq", "has_groups", "g:tenant:t:limit"}
    jobs = {key for key in lasting if ":job:" in key}
    assert {key.removeprefix("{default}:") for key in lasting - jobs if key.startswith("{default}")} <= named
    assert len(jobs) == redis_client.llen("{default}:completed") == 100
    assert all(key.startswith("{runs:") and key.endswith(":ended") for key in lasting - jobs if not key.startswith("{default}"))


def test_scripts_may_be_flushed_at_any_time(session: Session, redis_client: redis.Redis) -> None:
    over = threading.Event()

    def flush() -> None:
        while not over.wait(0.001):
            redis_client.script_flush()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        with worker(fan_out, twice):
            assert [fan_out.start(60).result(timeout=20) for _ in range(5)] == [60 * 59] * 5
            assert twice.start(1).result(timeout=10) == 1
    finally:
        over.set()
        thread.join()
    assert {calls[x] for x in range(60)} == {5}


def test_connections_may_be_cut_at_any_time(session: Session, redis_client: redis.Redis) -> None:
    over = threading.Event()

    def cut() -> None:
        while not over.wait(0.02):
            redis_client.client_kill_filter(_type="normal", skipme=True)

    thread = threading.Thread(target=cut)
    with worker(fan_out, lease=1):
        thread.start()
        try:
            runs = [_started(30) for _ in range(4)]
            over.wait(0.5)
        finally:
            over.set()
            thread.join()
        assert [run.result(timeout=30) for run in runs] == [30 * 29] * 4


def _started(n: int) -> Run[int]:
    """Start a run by a key, again and again until it is told that it began."""
    while True:
        try:
            return fan_out.opts(key=f"cut {len(calls)} {n}").start(n)
        except ConnectionError:
            continue


@pytest.mark.parametrize("name", ["meta", "nodes", "out", "tries", "keys", "out:2", "fails", "due"])
def test_a_damaged_run_fails_loudly_and_alone(
    session: Session, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """In one batch with healthy runs, one whose key is of a wrong kind."""
    with worker(holding, janitor=0.2, lease=1), caplog.at_level(logging.ERROR, "omniq_flow.worker"):
        runs = [holding.start(3) for _ in range(5)]
        eventually(lambda: sum(calls.values()) == 15, "all children run")
        redis_client.set(f"{{run:{runs[2].id}}}:{name}", "damaged")
        gate.set()
        for run in runs[:2] + runs[3:]:
            assert run.result(timeout=10) == 3
        if name in {"fails", "due"}:
            assert runs[2].wait(timeout=10) in {"succeeded", "failed"}
            return
        with pytest.raises((RunFailed, ServerRefused)) as caught:
            runs[2].result(timeout=10)
        if name == "meta":
            assert "WRONGTYPE" in str(caught.value)
        else:
            assert "damaged" in str(caught.value)
            eventually(lambda: "was condemned" in caplog.text, "the worker says so")
            redis_client.delete(f"{{run:{runs[2].id}}}:{name}")
        assert holding.start(2).result(timeout=10) == 1, "the worker goes on"
    redis_client.delete(*redis_client.scan_iter(f"{{run:{runs[2].id}}}:*"), *redis_client.scan_iter(f"*job:{runs[2].id}*"))
    for lane in ("delayed", "idx:delayed", "active", "idx:active"):
        redis_client.delete(f"{{default}}:{lane}")


def test_a_damaged_queue_stops_no_other(session: Session, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    redis_client.set("{default}:wait", "damaged")
    with worker(elsewhere, fan_out, janitor=0.2), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        for x in range(3):
            assert elsewhere.start(x).result(timeout=10) == 2 * x
        with pytest.raises(ServerRefused, match="WRONGTYPE"):
            fan_out.opts(key="later").start(4)
        redis_client.delete("{default}:wait")
        assert fan_out.opts(key="later").start(4).result(timeout=20) == 12
    assert "WRONGTYPE" in caplog.text


def test_a_damaged_index_of_ended_runs_stops_nobody(session: Session, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    indexes = [ended_index(shard) for shard in range(SHARDS)]
    for index in indexes:
        redis_client.set(index, "damaged")
    with worker(fan_out, drain=1), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        for n in range(3):
            run = fan_out.start(n)
            assert run.result(timeout=10) == n * (n - 1)
            eventually(lambda: not redis_client.exists("{default}:active"), "all is told")
            assert session.one_server or f"run {run.id} has ended and is not listed so: " in caplog.text
    redis_client.delete(*indexes)


def test_lists_that_the_server_lost_before_they_were_committed_are_staged_again(session: Session, redis_client: redis.Redis) -> None:
    """As a failover may lose them: the chunks are gone when the outcome is recorded."""
    lost = threading.Event()

    def lose_stages() -> None:
        while not lost.is_set():
            if stages := list(redis_client.scan_iter("*:stage:*", count=1000)):
                redis_client.delete(*stages)
                lost.set()

    with worker(fan_out):
        thread = threading.Thread(target=lose_stages)
        thread.start()
        run = fan_out.start(6000)
        assert run.result(timeout=30) == 6000 * 5999
        lost.set()
        thread.join()


async def test_a_worker_on_a_users_loop_ends_with_it(session: Session) -> None:
    served = Worker(session, [fan_out], WorkerOptions())
    working = asyncio.create_task(served.run())
    run = await fan_out.astart(10)
    assert await run.aresult(timeout=10) == 90
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await session.aclose()


def test_a_restarted_server_is_found_again(spare_server: Callable[..., RealServer]) -> None:
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    spare = spare_server(*durable)
    connect(spare.url)
    with worker(holding, lease=1):
        run = holding.start(8)
        eventually(lambda: len(calls) == 8, "the children run")
        spare.kill()
        gate.set()
        spare.restart()
        assert run.result(timeout=30) == 28
    assert all(count <= 2 for count in calls.values())


def test_a_worker_leaves_in_time_when_its_server_is_gone(spare_server: Callable[..., RealServer], caplog: pytest.LogCaptureFixture) -> None:
    spare = spare_server()
    connect(spare.url)
    began = time.monotonic()
    with worker(holding, drain=0.3):
        holding.start(3)
        eventually(lambda: len(calls) == 3, "the children run")
        spare.kill()
        gate.set()
        eventually(lambda: "no turn possible" in caplog.text, "their end cannot be told")
    assert time.monotonic() - began < 20


def test_a_busy_worker_loses_no_lease_by_its_own_acks(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    with worker(fan_out, lease=0.4), caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        for _ in range(3):
            assert fan_out.start(300).result(timeout=30) == 300 * 299
    assert "its lease ran out" not in caplog.text
